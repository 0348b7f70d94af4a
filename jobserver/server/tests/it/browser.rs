//! A browser without a script, as far as pages are concerned: it keeps its cookie, says what it takes, and sends forms with
//! the key that stands in the page.

use std::net::SocketAddr;

use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder};

/// A browser.
pub(crate) struct Browser {
    http: Client,
    url: String,
    cookie: Option<String>,
}

/// What it shows.
pub(crate) struct Shown {
    pub(crate) status: u16,
    /// Where it is sent on to.
    pub(crate) to: String,
    pub(crate) policy: String,
    pub(crate) cookie: String,
    pub(crate) body: String,
}

impl Browser {
    pub(crate) fn at(address: SocketAddr) -> Browser {
        let http = crate::running::builder().redirect(Policy::none()).build().expect("a client");
        Browser { http, url: format!("http://{address}"), cookie: None }
    }

    /// Logs in with a token.
    pub(crate) async fn log_in(address: SocketAddr, token: &str) -> Browser {
        let mut browser = Browser::at(address);
        let shown = browser.send("/login", &[("token", token), ("to", "/")]).await;
        assert_eq!((shown.status, shown.to.as_str()), (303, "/"), "{}", shown.body);
        browser.cookie = shown.cookie.split(';').next().map(str::to_owned);
        browser
    }

    /// The same browser with the same cookie, once more.
    pub(crate) fn again(&self) -> Browser {
        Browser { http: self.http.clone(), url: self.url.clone(), cookie: self.cookie.clone() }
    }

    pub(crate) async fn look(&self, path: &str) -> Shown {
        self.ask(self.http.get(format!("{}{path}", self.url))).await
    }

    /// The page, which has to be there.
    pub(crate) async fn page(&self, path: &str) -> String {
        let shown = self.look(path).await;
        assert_eq!(shown.status, 200, "{path}: {}", shown.body);
        shown.body
    }

    /// Fills in a form of the page at `page` and sends it to `path`.
    pub(crate) async fn fill_in(&self, page: &str, path: &str, fields: &[(&str, &str)]) -> Shown {
        let key = form_key(&self.page(page).await);
        let mut fields = fields.to_vec();
        fields.push(("form_key", &key));
        self.send(path, &fields).await
    }

    /// Sends a form as it is, as from a page of this server.
    pub(crate) async fn send(&self, path: &str, fields: &[(&str, &str)]) -> Shown {
        self.send_from(&self.url, path, fields).await
    }

    /// Sends a form as from a page of another site.
    pub(crate) async fn send_from(&self, origin: &str, path: &str, fields: &[(&str, &str)]) -> Shown {
        let body: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        let request = self.http.post(format!("{}{path}", self.url)).header("origin", origin);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        self.ask(request.body(body.join("&"))).await
    }

    /// Sends a form with a file, the fields before it.
    pub(crate) async fn send_file(&self, path: &str, fields: &[(&str, &str)], file: (&str, &str)) -> Shown {
        const EDGE: &str = "----a-line-that-is-in-no-file";
        let mut body = String::new();
        for (name, value) in fields {
            body += &format!("--{EDGE}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        }
        let (name, csv) = file;
        body += &format!("--{EDGE}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n");
        body += &format!("content-type: text/csv\r\n\r\n{csv}\r\n--{EDGE}--\r\n");
        let request = self.http.post(format!("{}{path}", self.url)).header("origin", &self.url);
        self.ask(request.header("content-type", format!("multipart/form-data; boundary={EDGE}")).body(body)).await
    }

    /// Opens what a page listens to, and waits for so many words of it.
    pub(crate) async fn listen(&self, path: &str) -> reqwest::Response {
        let request = self.http.get(format!("{}{path}", self.url)).header("accept", "text/event-stream");
        self.with_cookie(request).send().await.expect("an answer")
    }

    async fn ask(&self, request: RequestBuilder) -> Shown {
        let request = request.header("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
        let response = self.with_cookie(request).send().await.expect("an answer");
        let header = |name: &str| {
            response.headers().get(name).map(|value| value.to_str().expect("text").to_owned()).unwrap_or_default()
        };
        Shown {
            status: response.status().as_u16(),
            to: header("location"),
            policy: header("content-security-policy"),
            cookie: header("set-cookie"),
            body: response.text().await.expect("a body"),
        }
    }

    fn with_cookie(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        }
    }
}

/// The key that stands in a page's forms.
pub(crate) fn form_key(page: &str) -> String {
    let rest = page.split_once("name=\"form_key\" value=\"").map(|(_, rest)| rest);
    let key = rest.and_then(|rest| rest.split_once('"')).map(|(key, _)| key.to_owned());
    key.unwrap_or_else(|| panic!("no form in {page}"))
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

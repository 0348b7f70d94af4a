//! Style, script and icon: small files in this program, so that nothing is fetched from elsewhere.

use std::sync::OnceLock;

use axum::http::header;
use axum::response::IntoResponse;
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("../../assets/page.css");
const SCRIPT: &str = include_str!("../../assets/page.js");
const ICON: &str = include_str!("../../assets/icon.svg");

/// Names this program's files: pages ask for them by it, so that a browser may keep them until there are others.
pub(super) fn etag() -> String {
    static ETAG: OnceLock<String> = OnceLock::new();
    ETAG.get_or_init(|| format!("{:x}", Sha256::digest(format!("{STYLE}{SCRIPT}{ICON}")))[..12].to_owned()).clone()
}

fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "max-age=86400")], text)
}

pub(super) async fn style() -> impl IntoResponse {
    file("text/css; charset=utf-8", STYLE)
}

pub(super) async fn script() -> impl IntoResponse {
    file("text/javascript; charset=utf-8", SCRIPT)
}

pub(super) async fn icon() -> impl IntoResponse {
    file("image/svg+xml", ICON)
}

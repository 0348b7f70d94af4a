//! TLS as it is spoken: the right authority alone is believed, and whoever speaks something else is not waited for.

use nightshift_client::{Access, Client, ClientError, Timeouts};
use nightshift_server::tls::authority::Authority;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::guarded::{Guarded, Spoken, client_of, hand_in};

#[tokio::test]
async fn a_batch_is_handed_in_over_tls() {
    let server = Guarded::start(Spoken::Tls).await;
    let batch = hand_in(&server.admin, "name\nAnn\n").await.expect("good").id;
    assert_eq!(server.admin.batch(batch).await.expect("there").records, 1);
    server.end().await;
}

#[tokio::test]
async fn a_server_of_another_authority_is_not_believed_and_gets_no_token() {
    let server = Guarded::start(Spoken::Tls).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let other = Authority::make(folder.path()).expect("made").pin();
    let fooled = client_of(server.address, Some(&other), Some(&server.admin_token), None);
    let error = fooled.status().await.expect_err("somebody else's server");
    assert!(matches!(error, ClientError::Away { .. }), "{error:?}");
    let cause = std::error::Error::source(&error).expect("a cause").to_string();
    assert!(cause.contains("certificate"), "{cause}");
}

#[test]
fn without_a_pin_nobody_is_believed_behind_https() {
    let error = Client::with_access(["https://10.0.0.5:7070".to_owned()], Timeouts::default(), &Access::default());
    let error = error.expect_err("anybody could answer").to_string();
    assert!(error.contains("no certificate authority is pinned"), "{error}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_believed() {
    let server = Guarded::start(Spoken::Tls).await;
    // 127.0.0.2 is this machine, too, but no name in the certificate.
    let access = Access {
        pin: Some(server.pin.as_deref().expect("a pin").parse().expect("good")),
        token: Some(server.admin_token.clone()),
        machine: None,
    };
    let url = format!("https://127.0.0.2:{}", server.address.port());
    let client = Client::with_access([url], Timeouts::default(), &access).expect("a good address");
    assert!(matches!(client.status().await, Err(ClientError::Away { .. })), "nobody else's name");
}

#[tokio::test]
async fn who_speaks_plain_http_to_a_tls_port_is_told_so() {
    let server = Guarded::start(Spoken::Tls).await;
    let client = client_of(server.address, None, Some(&server.admin_token), None);
    let error = client.status().await.expect_err("this port speaks TLS");
    assert!(error.to_string().contains("write https:// instead of http://"), "{error}");
}

#[tokio::test]
async fn who_says_nothing_in_a_handshake_is_left() {
    let server = Guarded::start(Spoken::Tls).await;
    // Nothing at all, and the beginning of a handshake.
    for begun in [&[][..], &[22, 3, 1]] {
        let mut stream = TcpStream::connect(server.address).await.expect("connected");
        stream.write_all(begun).await.expect("written");
        let mut said = Vec::new();
        // The server ends it, by a goodbye or by cutting it off.
        let _ = stream.read_to_end(&mut said).await;
        assert!(said.len() < 100, "{said:?}");
    }
    server.admin.status().await.expect("others are served");
}

//! A job server that knows the primary of the company's data: positions at hand-in, failovers, the heartbeat row. On real
//! MariaDB and MySQL servers; one that this machine does not have is named past the harness.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, OptsBuilder};
use nightshift_server::config::{PrimarySettings, TableName};
use nightshift_server::primary::{CompanyData, Primary};
use nightshift_server::serve::Limits;
use nightshift_testbed::database::{Make, SCHEMA, Server, USER, Wishes};
use nightshift_wire::{ByPosition, DataPosition, ReachedPosition, code};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::running::{BEGINNING, TestServer, catalogue, limits};
use crate::site::said_not_run;

/// For a primary that says nothing.
const PATIENCE: Duration = Duration::from_millis(500);

/// Makes a test of each function, once for MariaDB and once for MySQL.
macro_rules! on_both {
    ($($test:ident,)*) => {
        mod on_mariadb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(super::Make::MariaDb).await;
            })*
        }
        mod on_mysql {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(super::Make::MySql).await;
            })*
        }
    };
}

on_both!(
    a_batch_for_replicas_waits_for_all_that_the_primary_had_committed_when_it_was_handed_in,
    a_hand_in_for_replicas_is_refused_while_the_primary_says_nothing_and_others_are_taken,
    a_server_that_is_no_primary_refuses_hand_ins_with_what_it_lacks,
    a_primary_that_began_a_new_history_is_none_until_it_is_another,
    a_primary_that_was_put_back_is_none_although_it_has_had_more_transactions_since,
    after_a_failover_what_is_left_waits_for_the_new_primary_on_the_record,
    the_heartbeat_row_moves_each_second_however_many_servers_write_it,
    a_heartbeat_row_that_cannot_be_written_is_told_by_status_and_metrics_until_it_can,
    a_primary_is_believed_by_its_certificate_alone,
);

/// A primary for tests; `None`, and said past the harness, when the machine has none.
fn primary(make: Make) -> Option<Server> {
    primary_with(make, Vec::new())
}

fn primary_with(make: Make, mut settings: Vec<String>) -> Option<Server> {
    if make == Make::MySql {
        settings.extend(["--gtid-mode=ON", "--enforce-gtid-consistency=ON"].map(str::to_owned));
    }
    let server =
        Server::start(make, Wishes { binlog: true, settings, ..Wishes::default() }).expect("a database server");
    if server.is_none() {
        said_not_run(make);
    }
    server
}

async fn connect(database: &Server) -> Conn {
    let opts = OptsBuilder::default().ip_or_hostname("127.0.0.1").tcp_port(database.port()).user(Some(USER));
    Conn::new(opts.prefer_socket(false)).await.expect("a connection")
}

/// The text a query answers with.
async fn text(database: &Server, sql: &str) -> String {
    let found: Option<String> = connect(database).await.query_first(sql).await.expect("an answer");
    found.expect("a row")
}

/// Whether the server has noted more transactions of the primary than so many. The first beat makes the table.
async fn has_noted_more_than(transactions: u64, database: &Server) -> Option<()> {
    let noted = "SELECT 1 FROM beats.heartbeat WHERE position > ?";
    let found: Result<Option<u64>, _> = connect(database).await.exec_first(noted, (transactions,)).await;
    found.ok().flatten().map(drop)
}

async fn run(database: &Server, sql: &str) {
    connect(database).await.query_drop(sql).await.expect("done");
}

/// As a person finds it out on the server.
async fn position_of(database: &Server) -> (String, String) {
    match database.make() {
        Make::MariaDb => {
            let id = text(database, "SELECT concat(@@server_id)").await;
            (format!("mariadb:{id}"), text(database, "SELECT @@gtid_binlog_pos").await)
        }
        Make::MySql => {
            let id = text(database, "SELECT @@server_uuid").await;
            (format!("mysql:{id}"), text(database, "SELECT @@gtid_executed").await)
        }
    }
}

fn settings(database: &Server, heartbeat: Option<&str>) -> PrimarySettings {
    PrimarySettings {
        url: format!("mysql://{USER}@127.0.0.1:{}", database.port()),
        password_file: None,
        tls_ca: None,
        heartbeat: heartbeat.map(|table| TableName::parse(table).expect("a table")),
    }
}

fn known(settings: &PrimarySettings) -> CompanyData {
    let primary = Primary::new(settings, None, PATIENCE).expect("a good address");
    CompanyData { primary: Some(primary), ..CompanyData::default() }
}

fn replication(database: &Server, heartbeat: Option<&str>) -> CompanyData {
    known(&settings(database, heartbeat))
}

/// A job server that knows this primary, looks often, and whose plugin `count` reads replicas.
async fn server(replication: CompanyData) -> TestServer {
    let limits = Limits { primary_every: Duration::from_millis(20), ..limits() };
    let server = TestServer::start_replicated(limits, replication).await;
    server.catalogue.send_modify(|current| {
        let mut catalogue = catalogue();
        let count = catalogue.plugins["count"].clone();
        catalogue.plugins.get_mut("count").expect("a plugin").on_replica = true;
        catalogue.plugins.insert("plain".to_owned(), count);
        *current = Arc::new(catalogue);
    });
    server
}

/// How a hand-in for replicas is refused: status, code and detail.
async fn refused(server: &TestServer) -> (u16, String, String) {
    let answer = server.ask("POST", "/v1/batches?plugin=count", "text/csv", "name\nAda\n").await;
    let problem: nightshift_wire::Problem = serde_json::from_str(&answer.body).expect("a problem");
    assert!(!answer.header("retry-after").is_empty(), "it may be tried again");
    (answer.status, problem.code, problem.detail)
}

async fn a_batch_for_replicas_waits_for_all_that_the_primary_had_committed_when_it_was_handed_in(make: Make) {
    let Some(database) = primary(make) else { return };
    let server = server(replication(&database, None)).await;
    run(&database, &format!("CREATE TABLE {SCHEMA}.people (id INT PRIMARY KEY)")).await;
    let (primary, gtid) = position_of(&database).await;
    let batch = server.hand_in("name\nAda\nBob\nCid\n").await.expect("handed in");
    let pinned = DataPosition { primary: primary.clone(), gtid: gtid.clone(), noted: BEGINNING };
    assert_eq!(batch.position.as_ref(), Some(&pinned));
    run(&database, &format!("INSERT INTO {SCHEMA}.people VALUES (1)")).await;
    let (_, later) = position_of(&database).await;
    assert_ne!(later, gtid);

    // A worker that had reached more, and one that says nothing.
    for position in [Some(ReachedPosition { primary: primary.clone(), gtid: later.clone() }), None] {
        let claim = server.claim("w-1").await.expect("a job");
        assert_eq!(claim.position.as_ref(), Some(&pinned));
        let mut done = server.process(&claim).await;
        done.provenance.position = position;
        server.client.submit(claim.attempt, &done).await.expect("accepted");
    }
    let receipt = server.client.receipt(batch.id).await.expect("a receipt");
    assert_eq!((receipt.position, receipt.repinned), (Some(pinned), Vec::new()));
    let by = |at: Option<(&str, &str)>, results| {
        let (primary, position) = at.map(|(primary, gtid)| (primary.to_owned(), gtid.to_owned())).unzip();
        ByPosition { primary, position, results }
    };
    assert_eq!(receipt.by_position, [by(None, 1), by(Some((&primary, &later)), 2)]);

    let plain = server.hand_in_for("plain", "name\nAda\n").await.expect("handed in");
    assert_eq!(plain.position, None, "it reads no replica");
}

async fn a_hand_in_for_replicas_is_refused_while_the_primary_says_nothing_and_others_are_taken(make: Make) {
    let Some(mut database) = primary(make) else { return };
    let server = server(replication(&database, None)).await;
    database.freeze();
    let (status, why, detail) = refused(&server).await;
    assert_eq!((status, why.as_str()), (503, code::PRIMARY_AWAY), "{detail}");
    server.hand_in_for("plain", "name\nAda\n").await.expect("it needs no primary");
    database.thaw();
    server.eventually("a hand-in to be taken", async || server.hand_in("name\nAda\n").await.ok()).await;

    database.crash();
    let (status, why, detail) = refused(&server).await;
    assert_eq!((status, why.as_str()), (503, code::PRIMARY_AWAY), "{detail}");
    assert!(detail.contains("see that it runs"), "{detail}");
    let batches = server.client.batches().await.expect("listed");
    assert_eq!(batches.len(), 2, "what was refused left nothing");
}

async fn a_server_that_is_no_primary_refuses_hand_ins_with_what_it_lacks(make: Make) {
    let Some(database) = primary(make) else { return };
    let server = server(replication(&database, None)).await;
    run(&database, "SET GLOBAL read_only = ON").await;
    let (status, why, detail) = refused(&server).await;
    assert_eq!((status, why.as_str()), (503, code::PRIMARY_AWAY), "{detail}");
    assert!(detail.contains("it is read only, as a replica is"), "{detail}");
    run(&database, "SET GLOBAL read_only = OFF").await;
    server.hand_in("name\nAda\n").await.expect("it is one again");

    let Some(bare) = Server::start(make, Wishes::default()).expect("a database server") else { return };
    let server = self::server(replication(&bare, None)).await;
    let (_, _, detail) = refused(&server).await;
    assert!(detail.contains("set log_bin"), "{detail}");
}

async fn a_primary_that_began_a_new_history_is_none_until_it_is_another(make: Make) {
    let Some(mut database) = primary(make) else { return };
    let beats = Some("beats.heartbeat");
    let server = self::server(replication(&database, beats)).await;
    run(&database, &format!("CREATE TABLE {SCHEMA}.people (id INT AUTO_INCREMENT PRIMARY KEY)")).await;
    server.hand_in("name\nAda\n").await.expect("it is one");
    server.eventually("the transactions to be noted", async || has_noted_more_than(0, &database).await).await;
    run(&database, if make == Make::MariaDb { "RESET MASTER" } else { "RESET BINARY LOGS AND GTIDS" }).await;
    let (status, why, detail) = refused(&server).await;
    assert_eq!((status, why.as_str()), (503, code::PRIMARY_AWAY), "{detail}");
    assert!(detail.contains("SET GLOBAL server_id") && detail.contains("remove auto.cnf"), "{detail}");
    drop(server);
    // Neither another job server nor as many transactions as before make it better.
    let mut connection = connect(&database).await;
    for _ in 0..1_000 {
        connection.query_drop(format!("INSERT INTO {SCHEMA}.people VALUES ()")).await.expect("written");
    }
    drop(connection);
    let server = self::server(replication(&database, beats)).await;
    let (_, _, detail) = refused(&server).await;
    assert!(detail.contains("RESET MASTER"), "{detail}");
    let status = server.client.status().await.expect("a status").primary.expect("it has one to ask");
    assert!(status.problem.contains("RESET MASTER"), "{status:?}");
    fail_over(&mut database).await;
    let batch = server.eventually("the new one to count", async || server.hand_in("name\nAda\n").await.ok()).await;
    let (primary, _) = position_of(&database).await;
    assert_eq!(batch.position.map(|position| position.primary), Some(primary));
}

async fn a_primary_that_was_put_back_is_none_although_it_has_had_more_transactions_since(make: Make) {
    let Some(database) = primary(make) else { return };
    let server = self::server(replication(&database, Some("beats.heartbeat"))).await;
    server.hand_in("name\nAda\n").await.expect("it is one");
    server.eventually("the transactions to be noted", async || has_noted_more_than(1, &database).await).await;
    // A snapshot holds the row as it was then. A beat may be under way, which writes it anew.
    let why = async || {
        run(&database, "UPDATE beats.heartbeat SET position = 1").await;
        let status = server.client.status().await.ok()?.primary?;
        Some(status.problem).filter(|problem| problem.contains("a backup or a snapshot"))
    };
    server.eventually("it to be seen", why).await;
    let (status, why, detail) = refused(&server).await;
    assert_eq!((status, why.as_str()), (503, code::PRIMARY_AWAY), "{detail}");
}

/// The same address answers as another server from now on.
async fn fail_over(database: &mut Server) {
    match database.make() {
        Make::MariaDb => run(database, "SET GLOBAL server_id = 4242").await,
        Make::MySql => {
            let folder = text(database, "SELECT @@datadir").await;
            database.crash();
            std::fs::remove_file(format!("{folder}/auto.cnf")).expect("its identity is forgotten");
            database.restart().expect("it comes back");
        }
    }
}

async fn after_a_failover_what_is_left_waits_for_the_new_primary_on_the_record(make: Make) {
    let Some(mut database) = primary(make) else { return };
    let server = server(replication(&database, None)).await;
    let batch = server.hand_in("name\nAda\nBob\nCid\nDan\nEve\nFay\n").await.expect("handed in");
    let old = batch.position.clone().expect("pinned");
    let here = ReachedPosition { primary: old.primary.clone(), gtid: old.gtid.clone() };
    let first = server.claim("w-1").await.expect("a job");
    let mut done = server.process(&first).await;
    done.provenance.position = Some(here.clone());
    server.client.submit(first.attempt, &done).await.expect("accepted");
    let second = server.claim("w-1").await.expect("a job");
    let mut late = server.process(&second).await;
    late.provenance.position = Some(here);

    fail_over(&mut database).await;
    let repinned = server
        .eventually("the batch to be repinned", async || {
            let batch = server.client.batch(batch.id).await.ok()?;
            batch.position.filter(|position| position.primary != old.primary)
        })
        .await;
    assert_eq!(repinned.primary, position_of(&database).await.0);

    let late = server.client.submit(second.attempt, &late).await.expect_err("the old primary's data");
    let problem = late.problem().expect("a refusal");
    assert_eq!((problem.status, problem.code.as_str()), (409, code::OTHER_PRIMARY), "{}", problem.detail);
    let again = server.claim("w-1").await.expect("it is done again");
    assert_eq!((again.job, again.position.as_ref()), (second.job, Some(&repinned)));
    let receipt = server.client.receipt(batch.id).await.expect("a receipt");
    let [repin] = receipt.repinned.as_slice() else { panic!("{receipt:?}") };
    assert_eq!((&repin.from, &repin.to, repin.jobs_done), (&old, &repinned, 1));
    let history = server.client.job(again.job).await.expect("the job");
    assert_eq!(history.position, Some(repinned));
}

async fn the_heartbeat_row_moves_each_second_however_many_servers_write_it(make: Make) {
    let Some(database) = primary(make) else { return };
    let beats = "beats.heartbeat";
    let (one, two) =
        (server(replication(&database, Some(beats))).await, server(replication(&database, Some(beats))).await);
    let rows = async |wanted: &str| {
        let mut connection = connect(&database).await;
        let rows: Vec<(String, u32)> = connection.query("SELECT ts, server_id FROM beats.heartbeat").await.ok()?;
        let id: Option<u32> = connection.query_first("SELECT @@server_id").await.ok()?;
        let [(ts, server_id)] = rows.as_slice() else { return None };
        (ts == wanted && Some(*server_id) == id).then_some(())
    };
    one.eventually("the row to be there", async || rows("2025-01-02T03:04:05.000000").await).await;
    drop(two);
    one.leap(Duration::from_millis(1_250));
    one.eventually("the row to move", async || rows("2025-01-02T03:04:06.250000").await).await;
}

async fn a_heartbeat_row_that_cannot_be_written_is_told_by_status_and_metrics_until_it_can(make: Make) {
    let Some(database) = primary(make) else { return };
    let server = server(replication(&database, Some("beats.heartbeat"))).await;
    let warnings = async || server.client.status().await.ok()?.primary.filter(|primary| primary.position.is_some());
    let is_written = async |written: &str| {
        let metrics = server.ask("GET", "/metrics", "", "").await.body;
        metrics.contains(&format!("nightshift_primary_heartbeat_written {written}\n")).then_some(())
    };
    server.eventually("the row to be written", async || is_written("1").await).await;
    // What else there is to say of it (MariaDB's `MIXED`) stays.
    let before = warnings().await.expect("a primary").warnings;
    assert!(!before.join("; ").contains("no heartbeat"), "{before:?}");
    // In its place is what nobody can write to.
    run(&database, "CREATE VIEW beats.closed AS SELECT 1 AS ts").await;
    run(&database, "RENAME TABLE beats.heartbeat TO beats.kept, beats.closed TO beats.heartbeat").await;
    let told = async || {
        let said = warnings().await?.warnings.join("; ");
        (said.contains("no heartbeat: the table beats.heartbeat cannot be written") && said.contains("GRANT"))
            .then_some(())
    };
    server.eventually("the status to say so", told).await;
    server.eventually("the metric to say so", async || is_written("0").await).await;
    // Not there at all, it is made again.
    run(&database, "DROP VIEW beats.heartbeat").await;
    server.eventually("the row to be written again", async || is_written("1").await).await;
    let well = async || (warnings().await?.warnings == before).then_some(());
    server.eventually("the status to say nothing of it", well).await;
}

/// An authority, and what it signs.
fn authority() -> (String, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let pem = params.self_signed(&key).expect("a certificate").pem();
    (pem, Issuer::new(params, key))
}

async fn a_primary_is_believed_by_its_certificate_alone(make: Make) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    let ((ours, issuer), (others, _)) = (authority(), authority());
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("an address");
    let certificate = params.signed_by(&key, &issuer).expect("signed").pem();
    let (ca, other_ca) = (file("ca.pem", &ours), file("other.pem", &others));
    let (certificate, key) = (file("cert.pem", &certificate), file("key.pem", &key.serialize_pem()));
    let tls = [("ca", &ca), ("cert", &certificate), ("key", &key)];
    let tls = tls.map(|(name, path)| format!("--ssl-{name}={}", path.display()));
    let Some(database) = primary_with(make, tls.into()) else { return };
    run(&database, "SET GLOBAL require_secure_transport = ON").await;

    let by = |tls_ca: Option<PathBuf>| known(&PrimarySettings { tls_ca, ..settings(&database, None) });
    server(by(Some(ca))).await.hand_in("name\nAda\n").await.expect("encrypted, and believed");
    for (tls_ca, why) in [(Some(other_ca), "of another authority"), (None, "in clear text")] {
        let (status, told, detail) = refused(&server(by(tls_ca)).await).await;
        assert_eq!((status, told.as_str()), (503, code::PRIMARY_AWAY), "{why}: {detail}");
    }
}

#[tokio::test]
async fn without_a_primary_no_position_is_recorded() {
    let server = server(CompanyData::default()).await;
    let batch = server.hand_in("name\nAda\n").await.expect("handed in");
    assert_eq!(batch.position, None);
    let claim = server.claim("w-1").await.expect("a job");
    assert_eq!(claim.position, None);
    let done = server.process(&claim).await;
    server.client.submit(claim.attempt, &done).await.expect("accepted");
    let receipt = server.client.receipt(batch.id).await.expect("a receipt");
    assert_eq!(receipt.by_position, [ByPosition { primary: None, position: None, results: 1 }]);
}

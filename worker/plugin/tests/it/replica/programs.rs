//! Programs on the replica: what they are told, what they reach, and what a replica that is away costs them.
//!
//! The program is a perl script that hands each record's text to the `mariadb` client, which talks to both makes.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;

use nightshift_plugin::{BlockError, Host, OpenError, Replica, samples};
use nightshift_testbed::database::Make;

use super::site::Site;
use crate::stage::{Stage, block, host, in_each_sandbox, said};

/// Perl that runs a record's text on the server; `port N`, `udp` and `socket PATH` try to connect, `die` ends the program.
const CLIENT: &str = r#"
use IO::Socket::INET; use IO::Socket::UNIX; use JSON::PP;
$| = 1;
my $data = decode_json(scalar <STDIN>)->{open}{data};
my @to = exists $data->{socket} ? ('--protocol=socket', "--socket=$data->{socket}")
                                : ('--protocol=tcp', "--host=$data->{host}", "--port=$data->{port}");
print "{\"opened\":true}\n";
sub ask {
    my ($said) = @_;
    exit 3 if $said eq 'die';
    return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $1) ? 'reached' : "no: $!" if $said =~ /^port (.*)/;
    return IO::Socket::INET->new(Proto => 'udp', PeerAddr => '127.0.0.1', PeerPort => 53) ? 'reached' : "no: $!" if $said eq 'udp';
    return IO::Socket::UNIX->new(Peer => $1) ? 'reached' : "no: $!" if $said =~ /^socket (.*)/;
    $ENV{MYSQL_PWD} = $data->{password};
    my $pid = open(my $out, '-|') // die "fork: $!";
    if (!$pid) {
        open STDERR, '>&', \*STDOUT;
        exec 'mariadb', '--no-defaults', '--skip-ssl', '-N', '-B', @to, "--user=$data->{user}", '-e', $said, $data->{database};
    }
    my $answer = join '', <$out>;
    chomp $answer;
    exit 4 if $answer =~ /Can't connect|server has gone away/;
    return $answer;
}
while (my $line = <STDIN>) {
    my @results = map { { id => $_->{id}, ok => { said => ask($_->{n}) } } } @{ decode_json($line)->{records} };
    print encode_json({ results => \@results }), "\n";
}
"#;

fn stage() -> Stage {
    let limits = "[data]\nsource = \"replica\"\ntables = [\"people\"]".to_owned();
    Stage { limits, ..Stage::with(CLIENT) }
}

/// Servers of each make, where the client is there, too.
fn sites() -> impl Iterator<Item = &'static Site> {
    let there = Path::new("/usr/bin/mariadb").exists();
    if !there {
        writeln!(std::io::stderr(), "\nNOT RUN: programs on a replica, which need mariadb: install mariadb-client")
            .expect("standard error");
    }
    Site::each().filter(move |_| there)
}

fn with(host: &Host, replica: Replica) -> Host {
    Host { replica: Some(replica), ..host.clone() }
}

/// The replica by its socket, as an account that may only read.
fn by_socket(site: &Site) -> Replica {
    site.administer("CREATE USER IF NOT EXISTS local@localhost IDENTIFIED BY 's3cr\"et'");
    site.administer("GRANT SELECT ON company.* TO local@localhost");
    let socket = site.server.socket().expect("a socket");
    let address = format!("mysql://local@localhost/company?socket={}", socket.display());
    Replica::parse(&address).expect("an address").with_password("s3cr\"et")
}

const ASKS: [&str; 2] = ["SELECT name FROM people WHERE person_id = 2", "INSERT INTO written VALUES (1)"];

#[test]
fn a_program_reaches_the_replica_by_its_port_and_nothing_else_and_the_server_lets_it_write_nothing() {
    for site in sites() {
        let other = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = other.local_addr().expect("an address").port();
        let socket = site.server.socket().expect("a socket");
        in_each_sandbox(|host| {
            let host = with(host, site.replica_as("reader"));
            let asks = [ASKS[0], ASKS[1], &format!("port {port}"), &format!("socket {}", socket.display()), "udp"];
            let said = stage().run(&host, &asks).expect("answers");
            assert_eq!(said[0], "Bert", "{:?}", site.make());
            assert!(said[1].contains("denied"), "{said:?}");
            let landlock = host.sandbox.as_ref().expect("a sandbox").protections().landlock;
            // Before version 4 landlock knows no ports.
            assert!(landlock < 4 || said[2].starts_with("no: "), "{said:?}");
            assert!(said[3..].iter().all(|said| said.starts_with("no: ")), "{said:?}");
        });
        assert!(site.administer("SELECT 1 FROM company.written").is_empty(), "something was written");
    }
}

#[test]
fn a_program_reaches_the_replica_by_its_socket_and_nothing_else() {
    for site in sites() {
        let replica = by_socket(site);
        let folder = tempfile::tempdir().expect("a folder");
        let other = folder.path().join("other");
        let _listening = UnixListener::bind(&other).expect("a socket");
        in_each_sandbox(|host| {
            let found = host.sandbox.as_ref().expect("a sandbox").protections();
            // An older kernel has no rule about sockets that have a file: docs/TRUST.md says so.
            let is_kept_off = found.bubblewrap || found.landlock >= 9 || found.own_user;
            let host = with(host, replica.clone());
            let port = format!("port {}", site.server.port());
            let asks = [ASKS[0], ASKS[1], &format!("socket {}", other.display()), &port];
            let said = stage().run(&host, &asks).expect("answers");
            assert_eq!(said[0], "Bert", "{:?}: {said:?}", site.make());
            assert!(
                said[1].contains("denied")
                    && (said[2].starts_with("no: ") || !is_kept_off)
                    && said[3].starts_with("no: "),
                "{said:?}"
            );
        });
    }
}

#[test]
fn a_program_whose_account_can_write_is_not_started() {
    for site in sites() {
        site.administer("CREATE USER scribe@'127.0.0.1'");
        site.administer("GRANT SELECT, INSERT ON company.* TO scribe@'127.0.0.1'");
        let stage = stage();
        let error = stage.open(&with(&host(), site.replica_as("scribe"))).err().expect("it can write");
        assert!(matches!(error, OpenError::Rights { .. }), "{error}");
        assert!(error.to_string().contains("can do more than read (INSERT)"), "{error}");
        assert_eq!(stage.processes().len(), 0);
        site.administer("DROP USER scribe@'127.0.0.1'");
    }
    assert!(matches!(stage().open(&host()), Err(OpenError::NoReplica { .. })));
}

#[test]
fn a_replica_that_is_away_costs_a_programs_records_nothing_and_a_program_that_fails_by_itself_its_own() {
    let there = Path::new("/usr/bin/mariadb").exists();
    for mut site in [Make::MariaDb, Make::MySql].into_iter().filter(|_| there).filter_map(Site::fresh) {
        let (stage, host) = (stage(), with(&host(), site.replica_as("reader")));
        let mut plugin = stage.open(&host).expect("opens");
        let mut run =
            |texts: &[&str]| plugin.process(&block(texts)).map(|results| results.iter().map(said).collect::<Vec<_>>());
        let own = run(&["die", ASKS[0]]).expect("one record is at fault");
        assert!(own[0].starts_with("error: ") && own[1] == "Bert", "{own:?}");
        site.server.crash();
        for _ in 0..2 {
            // A single record: nothing is left to halve.
            let error = run(&[ASKS[0]]).expect_err("the data are away");
            assert!(matches!(error, BlockError::DataAway { .. }), "{error}");
        }
        let mut second = stage.open(&host).expect("a replica may be away for now");
        assert!(matches!(second.process(&block(&[ASKS[0]])), Err(BlockError::DataAway { .. })));
        assert_eq!(stage.processes().len(), 0, "nothing is started while it is away");
        site.server.restart().expect("starts again");
        assert_eq!(run(&[ASKS[0]]).expect("answers"), ["Bert"]);
        assert_eq!(said(&second.process(&block(&[ASKS[0]])).expect("answers")[0]), "Bert");
    }
}

#[test]
fn the_samples_of_a_program_on_the_replica_run_on_a_private_server_or_not_at_all() {
    let stage = stage();
    let folder = stage.path().join("plugins/p");
    let manifest = "runtime = \"process\"\ncommand = [\"perl\", \"p.pl\"]\n[input]\nn = \"text\"\n[output]\nsaid = \"text\"\n\
                    [data]\nsource = \"replica\"\ntables = [\"people\"]\n";
    std::fs::create_dir(folder.join("samples")).expect("a folder");
    for (file, text) in [
        ("plugin.toml", manifest),
        ("samples/people.csv", "name\nZoe\n"),
        ("samples/records.csv", "n\nSELECT name FROM people\n"),
        ("samples/expected.csv", "said\nZoe\n"),
    ] {
        std::fs::write(folder.join(file), text).expect("a file");
    }
    assert!(samples::need_server(&folder).expect("a good manifest"));
    let error = samples::run(&folder, stage.path(), &host()).expect_err("no server");
    assert!(error.is_for_want_of_a_server(), "{error}");
    for site in sites() {
        let (private, _alone) = site.private();
        let host = Host { private_server: Some(private), ..host() };
        let report = samples::run(&folder, stage.path(), &host).expect("runs");
        assert!(report.is_good() && report.records == 1, "{:?}: {:?}", site.make(), report.differences);
    }
}

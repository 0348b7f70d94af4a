//! Copying over TLS: a primary that takes no other, and is known by an authority of the company's own.

use anyhow::Result;
use nightshift_replica::Watch;
use nightshift_replica::facts::{Needs, Patience, Running};
use nightshift_replica::rebuild::{Way as Built, point_again};
use nightshift_replica::verdict::{Expected, Whose};
use nightshift_testbed::certificates::Authority;
use nightshift_testbed::database::{Make, Way};
use nightshift_wire::{Replication, ReplicationTls};

use crate::own::building::check;
use crate::own::site::{Site, ask, on_each_with};

fn by(site: &Site, tls: ReplicationTls) -> Replication {
    Replication { tls, ..site.replication() }
}

#[test]
fn a_replica_is_built_and_follows_over_tls_and_believes_the_right_authority_alone() -> Result<()> {
    on_each_with(Way::Tls, async |site: Site| {
        let stranger = ReplicationTls::Verify { ca: Authority::new()?.pem().to_owned() };
        let refused = (ReplicationTls::Off, "the primary refused the copying account", "Access denied");
        for (tls, what, says) in [refused, (stranger.clone(), "asking the primary at", "UnknownIssuer")] {
            let error = site.build_from(&by(&site, tls)).await.expect_err(says);
            let words = format!("{error:#}");
            assert!(words.contains(what) && words.contains(says), "{words}");
            assert!(site.server()?.copied().is_none());
        }
        site.build().await?;
        check(&site).await?;
        let server = site.server()?;
        let error = point_again(&server, &by(&site, stranger)).await.expect_err("another authority");
        assert!(format!("{:#}", anyhow::Error::from(error)).contains("UnknownIssuer"));
        site.write("INSERT INTO people VALUES (600, 'as before')").await?;
        site.arrives(600).await?;
        assert!(point_again(&server, &by(&site, ReplicationTls::Encrypt)).await?, "whoever answers is believed");
        site.write("INSERT INTO people VALUES (601, 'encrypted')").await?;
        site.arrives(601).await
    })
}

#[test]
fn a_dump_comes_over_tls_too() -> Result<()> {
    on_each_with(Way::Tls, async |site: Site| {
        if site.make() == Make::MySql {
            site.write("REVOKE BACKUP_ADMIN ON *.* FROM copier@'127.0.0.1'").await?;
        }
        assert_eq!(site.build().await?.way, Built::Dump);
        check(&site).await
    })
}

#[test]
fn replication_itself_refuses_a_primary_of_another_authority_and_says_so() -> Result<()> {
    on_each_with(Way::Tls, async |site: Site| {
        site.build().await?;
        let server = site.server()?;
        let word = if site.make() == Make::MariaDb { "SLAVE" } else { "REPLICA" };
        let _: Vec<u8> = ask(&server, &format!("STOP {word}")).await?;
        std::fs::write(server.place().authority(), Authority::new()?.pem())?;
        let _: Vec<u8> = ask(&server, &format!("START {word}")).await?;
        let mut watch = Watch::new(server.keeper_opts()?, Needs::default(), Expected::default(), Patience::default());
        // Bounded by what a busy machine may need.
        for _ in 0..6_000 {
            let (seen, verdict) = watch.look().await;
            let channel = seen.map_err(|absence| anyhow::anyhow!("{absence:?}"))?.channels.remove(0);
            assert_ne!(channel.receiver.running, Running::Yes, "{channel:?}");
            let error = channel.receiver.error.to_ascii_lowercase();
            if error.contains("certificate") || error.contains("ssl") {
                assert!(
                    verdict.in_words(None, Whose::Machines).contains("does not get through to its primary"),
                    "{verdict:?}"
                );
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        anyhow::bail!("nothing is said of the certificate")
    })
}

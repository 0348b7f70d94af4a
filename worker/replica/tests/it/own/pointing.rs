//! The way to the primary changes while a replica follows: another password, another authority, another server in its place.

use anyhow::{Context as _, Result};
use nightshift_replica::rebuild::point_again;
use nightshift_testbed::database::{Company, Founding};
use nightshift_wire::Replication;

use crate::own::site::{Site, on_each};

#[test]
fn another_password_is_taken_over_in_place_and_a_wrong_one_changes_nothing() -> Result<()> {
    on_each(async |site: Site| {
        site.build().await?;
        let server = site.server()?;
        let told = site.replication();
        assert!(!point_again(&server, &told).await?, "it is as it was told");
        // It connects at its leisure, and with the old password only before that is another.
        site.write("INSERT INTO people VALUES (599, 'to a replica that is connected')").await?;
        site.arrives(599).await?;
        site.write("ALTER USER copier@'127.0.0.1' IDENTIFIED BY 'another'").await?;
        let wrong = Replication { password: "wrong".into(), ..told.clone() };
        let error = point_again(&server, &wrong).await.expect_err("a wrong password");
        let words = format!("{:#}", anyhow::Error::from(error));
        assert!(
            words.contains("the primary refused the copying account copier at") && words.contains("Access denied"),
            "{words}"
        );
        site.write("INSERT INTO people VALUES (600, 'by the old connection')").await?;
        site.arrives(600).await?;
        let right = Replication { password: "another".into(), ..told };
        assert!(point_again(&server, &right).await?);
        site.write("INSERT INTO people VALUES (601, 'by the new password')").await?;
        site.arrives(601).await?;
        assert!(!point_again(&server, &right).await?, "it knows by now");
        // After its next start, too.
        server.stop(std::time::Duration::from_secs(60)).await?;
        server.follow().await?;
        assert!(!point_again(&server, &right).await?);
        Ok(())
    })
}

#[test]
fn another_server_at_the_primarys_address_is_not_followed() -> Result<()> {
    on_each(async |site: Site| {
        site.build().await?;
        let other = Company::found(site.make(), Founding::default())?.context("it was there just now")?;
        let there = Replication { port: other.primary.port(), ..site.replication() };
        let error = point_again(&site.server()?, &there).await.expect_err("another server");
        assert!(error.to_string().contains("lead to different servers"), "{error}");
        site.write("INSERT INTO people VALUES (600, 'as before')").await?;
        site.arrives(600).await
    })
}

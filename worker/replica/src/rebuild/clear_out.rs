//! Takes away what came along and is not copied: accounts that a fresh data folder or a clone has, and with a clone every schema
//! that workers have no business with, the job tables' among them.

use mysql_async::prelude::Queryable as _;

use super::RebuildError;
use crate::make::Make;
use crate::server::OwnServer;
use crate::sql::{name, text};

/// Takes away what is beside what is copied.
pub(super) async fn clear_out(
    server: &OwnServer,
    schemas: &[String],
    heartbeat: Option<(&str, &str)>,
) -> Result<(), RebuildError> {
    let mut connection = server.connect().await?;
    let foreign = match server.programs().version.make {
        Make::MariaDb => include_str!("mariadb/foreign_accounts.sql"),
        Make::MySql => include_str!("mysql/foreign_accounts.sql"),
    };
    let foreign: Vec<(String, String)> = connection.query(foreign).await.map_err(RebuildError::Sql)?;
    let mut statements = vec!["SET SESSION foreign_key_checks = OFF".to_owned()];
    statements.extend(foreign.iter().map(|(user, host)| format!("DROP USER {}@{}", text(user), text(host))));
    let there: Vec<String> = connection
        .query(include_str!("schemas.sql").replace("{scratch}", crate::server::SCRATCH))
        .await
        .map_err(RebuildError::Sql)?;
    for schema in there.iter().filter(|schema| !schemas.contains(schema)) {
        match heartbeat.filter(|(of, _)| of == schema) {
            None => statements.push(format!("DROP DATABASE {}", name(schema))),
            Some((_, table)) => {
                let tables: Vec<(String, String)> =
                    connection.exec(include_str!("tables.sql"), (schema,)).await.map_err(RebuildError::Sql)?;
                let others = tables.iter().filter(|(other, _)| other != table);
                statements.extend(others.map(|(other, kind)| {
                    let kind = if kind == "VIEW" { "VIEW" } else { "TABLE" };
                    format!("DROP {kind} {}.{}", name(schema), name(other))
                }));
            }
        }
    }
    for statement in statements {
        connection.query_drop(statement).await.map_err(RebuildError::Sql)?;
    }
    connection.disconnect().await.map_err(RebuildError::Sql)
}

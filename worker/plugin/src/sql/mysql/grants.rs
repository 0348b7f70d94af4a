//! Whether an account can only read, judged by what `SHOW GRANTS` says of it. Pure.
//!
//! What is not understood counts as a right to write.

/// What an account of plugins may have: reading, temporary tables, and asking how replication is doing.
const HARMLESS: [&str; 9] = [
    "USAGE",
    "SELECT",
    "SHOW VIEW",
    "SHOW DATABASES",
    "CREATE TEMPORARY TABLES",
    "REPLICATION CLIENT",
    "BINLOG MONITOR",
    "SLAVE MONITOR",
    "REPLICA MONITOR",
];

/// Refuses an account that could do more than read. `grants` are the lines of `SHOW GRANTS`, `account` is `user@host`;
/// the error says what it could do, and the statements that cure it.
pub(super) fn check(grants: &[String], account: &str, schema: &str) -> Result<(), String> {
    let Some(more) = grants.iter().find_map(|grant| more_than_reading(grant)) else { return Ok(()) };
    let account = quoted_account(account);
    Err(format!(
        "its account {account} can do more than read ({more}); run as an administrator, on the primary: REVOKE ALL PRIVILEGES, \
         GRANT OPTION FROM {account}; GRANT SELECT ON `{schema}`.* TO {account}; and when open.mysql.sql makes temporary \
         tables: GRANT CREATE TEMPORARY TABLES ON `{}`.* TO {account}",
        crate::replica::SCRATCH_SCHEMA
    ))
}

/// What a line of `SHOW GRANTS` gives beyond reading. Never repeats the line, which may hold a digest of a password.
fn more_than_reading(grant: &str) -> Option<String> {
    let Some(given) = grant.strip_prefix("GRANT ") else {
        // Rights taken back, or which role is taken by itself: the roles stand in lines of their own.
        let harmless = grant.starts_with("REVOKE ") || grant.starts_with("SET DEFAULT ROLE ");
        return (!harmless).then(|| "a grant that is not understood".to_owned());
    };
    if given.starts_with(['`', '\'', '"']) {
        return Some("it has a role: grant to the account itself".to_owned());
    }
    let Some((rights, whom)) = given.split_once(" ON ") else {
        return Some("it has a role: grant to the account itself".to_owned());
    };
    if whom.contains(" WITH GRANT OPTION") {
        return Some("GRANT OPTION".to_owned());
    }
    // The columns that a right is for stand in brackets behind it: SELECT (`a`, `b`).
    let mut depth = 0_u32;
    let plain: String = rights
        .chars()
        .filter(|c| {
            let outside = depth == 0 && *c != '(';
            depth = match c {
                '(' => depth + 1,
                ')' => depth.saturating_sub(1),
                _ => depth,
            };
            outside
        })
        .collect();
    if depth > 0 {
        return Some("a grant that is not understood".to_owned());
    }
    plain.split(',').map(str::trim).find(|right| !HARMLESS.contains(right)).map(str::to_owned)
}

/// `user@host` as SQL writes it.
fn quoted_account(account: &str) -> String {
    let (user, host) = account.rsplit_once('@').unwrap_or((account, "%"));
    let quoted = |name: &str| format!("'{}'", name.replace('\'', "''"));
    format!("{}@{}", quoted(user), quoted(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(grants: &[&str]) -> Result<(), String> {
        check(&grants.iter().map(|grant| (*grant).to_owned()).collect::<Vec<_>>(), "reader@10.0.0.%", "company")
    }

    #[test]
    fn an_account_that_can_only_read_is_taken() {
        let good = [
            "GRANT USAGE ON *.* TO `reader`@`%` IDENTIFIED BY PASSWORD '*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19'",
            "GRANT SELECT, SHOW VIEW ON `company`.* TO `reader`@`%`",
            "GRANT SELECT (`a`, `b`) ON `other`.`t` TO `reader`@`%`",
            "GRANT CREATE TEMPORARY TABLES ON `nightshift_scratch`.* TO `reader`@`%`",
            "GRANT SLAVE MONITOR, BINLOG MONITOR ON *.* TO `reader`@`%`",
        ];
        assert_eq!(verdict(&good), Ok(()));
    }

    #[test]
    fn an_account_that_can_write_is_refused_with_the_cure() {
        for (grant, says) in [
            ("GRANT ALL PRIVILEGES ON *.* TO `r`@`%` WITH GRANT OPTION", "GRANT OPTION"),
            ("GRANT ALL PRIVILEGES ON `company`.* TO `r`@`%`", "ALL PRIVILEGES"),
            ("GRANT SELECT, INSERT, UPDATE ON `company`.* TO `r`@`%`", "INSERT"),
            ("GRANT SELECT (`a`), UPDATE (`a`) ON `company`.`t` TO `r`@`%`", "UPDATE"),
            ("GRANT FILE ON *.* TO `r`@`%`", "FILE"),
            ("GRANT EXECUTE ON `company`.* TO `r`@`%`", "EXECUTE"),
            ("GRANT BACKUP_ADMIN,SYSTEM_VARIABLES_ADMIN ON *.* TO `r`@`%`", "BACKUP_ADMIN"),
            ("GRANT USAGE ON *.* TO `r`@`%` WITH GRANT OPTION", "GRANT OPTION"),
            ("GRANT `writer`@`%` TO `r`@`%`", "role"),
            ("GRANT writer TO r", "role"),
            ("something new", "not understood"),
            // A name that looks like the end of the rights hides none.
            ("GRANT SELECT (`a ON b`), INSERT ON `company`.`t` TO `r`@`%`", ""),
        ] {
            let message = verdict(&["GRANT USAGE ON *.* TO `r`@`%`", grant]).expect_err(grant);
            assert!(message.contains(says), "{message}");
            assert!(message.contains("GRANT SELECT ON `company`.* TO 'reader'@'10.0.0.%'"), "{message}");
        }
    }

    #[test]
    fn a_refusal_never_shows_the_digest_of_a_password() {
        let message =
            verdict(&["GRANT INSERT ON *.* TO `r`@`%` IDENTIFIED BY PASSWORD '*2470C0'"]).expect_err("writes");
        assert!(!message.contains("2470C0"), "{message}");
    }
}

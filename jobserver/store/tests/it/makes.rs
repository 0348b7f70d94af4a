//! Promises that MariaDB and MySQL both keep: each is a function of the make, and a test for each make.

/// Makes a test of each promise for each make of server.
macro_rules! on_both {
    ($($promise:ident),* $(,)?) => {
        mod on_mariadb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$promise(super::Make::MariaDb).await;
            })*
        }
        mod on_mysql {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$promise(super::Make::MySql).await;
            })*
        }
    };
}
pub(crate) use on_both;

//! What was done in which time, and the baselines that times are compared with.
//!
//! Every error is as at [`Client::claim`]: the server is away, breaks off or refuses.

use nightshift_wire::{Baseline, NewBaseline, Stats, StatsQuery};

use crate::ask::Ask;
use crate::{Client, ClientError};

impl Client {
    /// Statistics of the grid.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn stats(&self, query: &StatsQuery) -> Result<Stats, ClientError> {
        let StatsQuery { since, until, per, by, worker, against } = query;
        let parts = [
            ("since", since.map(|since| since.to_string())),
            ("until", until.map(|until| until.to_string())),
            ("per", Some(per.word().to_owned())),
            ("by", Some(by.word().to_owned())),
            ("worker", worker.clone()),
            ("against", against.clone()),
        ];
        let given = parts.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let ask = Ask::get("reading the statistics", "v1/stats");
        let ask = given.fold(ask, |ask, (name, value)| ask.query(name, value));
        self.ask(ask).await?.json().await
    }

    /// The baselines, by name.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn baselines(&self) -> Result<Vec<Baseline>, ClientError> {
        self.ask(Ask::get("listing the baselines", "v1/baselines")).await?.json().await
    }

    /// Records a baseline.
    ///
    /// # Errors
    /// See [`Client::claim`]. After [`ClientError::BrokeOff`] it may be there.
    pub async fn record_baseline(&self, baseline: &NewBaseline) -> Result<Baseline, ClientError> {
        self.ask(Ask::post("recording a baseline", "v1/baselines", baseline)).await?.json().await
    }

    /// Removes a baseline.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn remove_baseline(&self, name: &str) -> Result<(), ClientError> {
        self.ask(Ask::delete(format!("removing the baseline {name}"), "v1/baselines").below(name)).await?;
        Ok(())
    }
}

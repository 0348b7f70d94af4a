//! `nightshift batch receipt`: the proof that nothing of a batch is missing.

use std::collections::BTreeMap;

use nightshift_contract::exit::Exit;
use nightshift_wire::{BatchId, BatchReceipt, BatchState, DataPosition, Repin};

use crate::figures::{count, counted};
use crate::server::{ServerArgs, number};
use crate::surroundings::Surroundings;

/// Show a batch's receipt: what went in, what came out, and whether anything is missing
///
/// The job server counts every record for it. `input` is the SHA-256 of what was handed in, unpacked, and `output` that
/// of the results as `nightshift batch results ID` writes them: `sha256sum` of either file prints the same. Exit code 5
/// when some records have an error or no result, 75 when the batch is not finished.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The batch's number
    #[arg(value_name = "ID", value_parser = number)]
    batch: BatchId,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub(crate) async fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let receipt = args.server.client(around)?.receipt(args.batch).await?;
    match args.json {
        true => around.screen.json("receipt", &receipt)?,
        false => around.screen.data(&lines(&receipt))?,
    }
    Ok(match receipt.state {
        BatchState::Done | BatchState::Incomplete if receipt.in_is_out && receipt.errors == 0 => Exit::Done,
        BatchState::Done if !receipt.in_is_out => Exit::Failed,
        BatchState::Done | BatchState::Incomplete => Exit::RecordErrors,
        BatchState::Receiving | BatchState::Open => Exit::TryLater,
    })
}

fn lines(receipt: &BatchReceipt) -> String {
    let BatchReceipt { batch, name, plugin, verdict, .. } = receipt;
    let mut text = format!(
        "batch      {batch}\nname       {name}\nplugin     {plugin}\nverdict    {verdict}\n\
         records    {} in: {} with a value, {} with an error, {} without a result\nworkers    {}\n",
        count(receipt.records),
        count(receipt.results - receipt.errors),
        count(receipt.errors),
        count(receipt.unprocessed),
        count(receipt.workers),
    );
    for part in &receipt.by_release {
        text.push_str(&format!(
            "release    {} ({}): {} in {}, {} an error, by {}\n",
            part.release,
            part.commit,
            counted(part.results, "result"),
            counted(part.jobs, "job"),
            count(part.errors),
            counted(part.workers, "worker"),
        ));
    }
    text.push_str(&data_lines(receipt));
    match &receipt.input {
        Some(input) => {
            text.push_str(&format!("input      sha256 {}, {}\n", input.digest, counted(input.bytes, "byte")));
            text.push_str(&format!("asked for  {}\n", in_words(&input.parameters)));
            if let Some(key) = &input.key {
                text.push_str(&format!("key        {key}\n"));
            }
        }
        None => text.push_str("input      not recorded\n"),
    }
    match &receipt.results_digest {
        Some(digest) => text.push_str(&format!("output     sha256 {digest}\n")),
        None => text.push_str("output     not finished\n"),
    }
    text
}

/// What was asked for, as `plugin name-count, priority 0`; what is no object stands as it is.
fn in_words(parameters: &str) -> String {
    let Ok(serde_json::Value::Object(asked)) = serde_json::from_str(parameters) else { return parameters.to_owned() };
    let said = asked.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{} {value}", name.replace('_', " "))
    });
    said.collect::<Vec<_>>().join(", ")
}

/// What data the results were computed on: each position of the primary while they fit a screen, else each primary.
fn data_lines(receipt: &BatchReceipt) -> String {
    const MOST: usize = 8;
    let one_line = |gtid: &str| gtid.split_whitespace().collect::<String>();
    let mut text = String::new();
    if let Some(DataPosition { primary, gtid, .. }) = &receipt.position {
        text.push_str(&format!("asks for   data of {primary} at {} or later\n", one_line(gtid)));
    }
    for Repin { from, to, jobs_done, .. } in &receipt.repinned {
        let (old, done) = (&from.primary, counted(*jobs_done, "job"));
        text.push_str(&format!("failover   from {old} to {}; done before: {done}\n", to.primary));
    }
    if receipt.by_position.len() <= MOST {
        for part in &receipt.by_position {
            let results = counted(part.results, "result");
            let data = match (&part.primary, &part.position) {
                (Some(primary), Some(gtid)) => format!("{primary} at {}", one_line(gtid)),
                _ => "position not recorded".to_owned(),
            };
            text.push_str(&format!("data       {data}: {results}\n"));
        }
        return text;
    }
    let mut primaries: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for part in &receipt.by_position {
        let (positions, results) = primaries.entry(part.primary.as_deref().unwrap_or_default()).or_default();
        (*positions, *results) = (*positions + 1, *results + part.results);
    }
    for (primary, (positions, results)) in primaries {
        let results = counted(results, "result");
        let data = match primary {
            "" => "position not recorded".to_owned(),
            primary => format!("{primary} at {} (all with --json)", counted(positions, "position")),
        };
        text.push_str(&format!("data       {data}: {results}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use nightshift_wire::{ByPosition, ByRelease, InputReceipt};

    use super::*;

    fn receipt() -> BatchReceipt {
        let part = |release: &str, results| ByRelease {
            release: release.into(),
            commit: "c".repeat(40),
            jobs: results / 1_000,
            results,
            errors: 2,
            workers: 3,
        };
        BatchReceipt {
            batch: 3,
            name: "march".into(),
            plugin: "name-count".into(),
            state: BatchState::Done,
            records: 20_000,
            results: 20_000,
            errors: 4,
            unprocessed: 0,
            in_is_out: true,
            verdict: "in = out: 20,000 records in, 20,000 results out, 4 of them an error".into(),
            workers: 4,
            by_release: vec![part("v1.0.0", 12_000), part("v1.1.0", 8_000)],
            by_position: vec![ByPosition { primary: None, position: None, results: 20_000 }],
            position: None,
            repinned: Vec::new(),
            input: Some(InputReceipt {
                digest: "a".repeat(64),
                bytes: 1_234_567,
                parameters: "{\"plugin\":\"name-count\",\"priority\":0}".into(),
                key: Some("march-2025".into()),
            }),
            results_digest: Some("b".repeat(64)),
        }
    }

    #[test]
    fn a_receipt_fits_one_screen() {
        insta::assert_snapshot!(lines(&receipt()));
    }

    #[test]
    fn a_receipt_names_positions_while_they_fit_a_screen_and_primaries_beyond() {
        let at = |primary: Option<&str>, gtid: Option<String>, results| ByPosition {
            primary: primary.map(str::to_owned),
            position: gtid,
            results,
        };
        let position =
            |primary: &str, gtid: &str| DataPosition { primary: primary.into(), gtid: gtid.into(), noted: 0 };
        let (from, to) = (position("mariadb:7", "0-7-12"), position("mariadb:8", "0-8-20,\n1-8-3"));
        let few = BatchReceipt {
            position: Some(to.clone()),
            repinned: vec![Repin { at: 1, from, to, jobs_done: 1 }],
            by_position: vec![at(None, None, 5), at(Some("mariadb:7"), Some("0-7-13".into()), 1_000)],
            ..receipt()
        };
        let many = (0..1_000).map(|n| at(Some("mariadb:8"), Some(format!("0-8-{n}")), 20));
        let many = BatchReceipt { by_position: many.chain([at(None, None, 5)]).collect(), ..few.clone() };
        insta::assert_snapshot!(format!("{}\n{}", data_lines(&few), data_lines(&many)));
    }
}

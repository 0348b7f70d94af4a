//! A dry run: the input is read as in a hand-in, nothing is stored, and what was seen is told.

use axum::body::Bytes;
use futures_util::Stream;
use nightshift_rules::{auto_size, explain};
use nightshift_wire::Preview;

use super::incoming::Halt;
use super::jobs::Cut;
use super::plan::Plan;
use crate::api::grid;
use crate::app::App;
use crate::refused::{Refused, while_doing};

/// So many records are shown.
const SHOWN: usize = 3;

pub(super) async fn look<S, E>(app: &App, plan: Plan, pieces: &mut S) -> Result<Preview, Refused>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let mut incoming = plan.incoming().that_goes_on();
    let mut cut = Cut::new(plan.size.records);
    let (mut shown, mut records, mut jobs, mut complete) = (Vec::new(), 0, 0, true);
    let mut fatal = None;
    'input: loop {
        let read = match incoming.records(app, pieces).await {
            Ok(Some(read)) => read,
            Ok(None) => break,
            Err(Halt::Refused(refused)) => return Err(refused),
            Err(Halt::Unfit(unfit)) => {
                (fatal, complete) = (Some(unfit), false);
                break;
            }
        };
        for record in read {
            if plan.first.is_some_and(|first| records >= first) {
                complete = false;
                break 'input;
            }
            records += 1;
            jobs += u64::from(cut.add(&record).is_some());
            if shown.len() < SHOWN {
                shown.push(record);
            }
        }
    }
    let mut problems = incoming.problems();
    if let Some(unfit) = fatal {
        problems.add(unfit);
    }
    let workers = app.store.workers().await.map_err(while_doing(|| plan.doing()))?;
    let hands = explain::hands(&workers, &plan.new.requirements, grid::active_since(app.clock.now()));
    let columns = incoming.columns().to_vec();
    Ok(Preview {
        ignored: columns.iter().filter(|column| !plan.wanted.inputs.contains(column)).cloned().collect(),
        columns,
        release: plan.release,
        required: plan.wanted.inputs,
        outputs: plan.wanted.outputs,
        first: shown,
        records,
        complete,
        job_size: plan.size.records,
        job_size_by: plan.size.by,
        jobs: jobs + u64::from(cut.is_begun()),
        estimate: auto_size::estimate(&plan.wanted.plugin, records, plan.speed, &hands),
        plugin: plan.wanted.plugin,
        problems: problems.named.iter().map(crate::csv::intake::Unfit::problem).collect(),
        more_problems: problems.more,
    })
}

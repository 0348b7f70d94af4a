//! What a guest may call: `nightshift.query` on its own tables, and `nightshift.log`. There is nothing else.
//!
//! A query's rows are written into a place that the guest names, as many at once as fit, and the guest's `rows` is called
//! for each lot; so no query takes more of the host's memory than one lot, and none is left open. While it takes rows, a
//! guest cannot query again.

use std::ops::ControlFlow;

use wasmtime::{Caller, Extern, Linker, Memory, Trap, TypedFunc};

use super::abi;
use super::bounds::Bounds;
use super::module::{MEMORY, NIGHTSHIFT, ROWS};
use crate::data::{Queries, QueryError};
use crate::field::Field;
use crate::log_lines::LogLines;

/// The functions that a guest may import, the query first, and how many parameters of 32 bits each has.
pub(super) const IMPORTS: [(&str, usize); 2] = [("query", 7), ("log", 2)];
/// A query's text, and its parameters, are no longer than this, in bytes.
const LONGEST_QUERY: usize = 1 << 20;
/// So much of a line is read at all, in bytes.
const LONGEST_LINE: usize = 4 << 10;

/// What an instance works with on the host's side.
pub(super) struct State {
    pub(super) bounds: Bounds,
    pub(super) belongings: Belongings,
}

/// What stays when an instance is thrown away.
pub(super) struct Belongings {
    /// Where queries go: `None` while one runs, and for a module that imports no query.
    pub(super) data: Option<Box<dyn Queries>>,
    pub(super) log: LogLines,
}

/// Why the host ended a guest, in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refused(pub(super) String);

/// Gives `linker` what a guest may call.
pub(super) fn define(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let [(query_name, _), (log_name, _)] = IMPORTS;
    linker.func_wrap(NIGHTSHIFT, query_name, query)?;
    linker.func_wrap(NIGHTSHIFT, log_name, log)?;
    Ok(())
}

fn refused<T>(why: impl Into<String>) -> wasmtime::Result<T> {
    Err(wasmtime::Error::new(Refused(why.into())))
}

fn memory(caller: &mut Caller<'_, State>) -> wasmtime::Result<Memory> {
    match caller.get_export(MEMORY).and_then(Extern::into_memory) {
        Some(memory) => Ok(memory),
        None => refused("it has no memory yet"),
    }
}

/// The bytes of the guest's that are `what`.
fn bytes(caller: &mut Caller<'_, State>, start: u32, length: u32, what: &str) -> wasmtime::Result<Vec<u8>> {
    if length as usize > LONGEST_QUERY {
        return refused(format!("{what} is {length} bytes long, and {LONGEST_QUERY} are the most"));
    }
    let memory = memory(caller)?;
    match memory.data(&caller).get(start as usize..).and_then(|rest| rest.get(..length as usize)) {
        Some(bytes) => Ok(bytes.to_vec()),
        None => refused(format!("{what} is outside of its memory: {length} bytes at {start}")),
    }
}

fn log(mut caller: Caller<'_, State>, start: u32, length: u32) -> wasmtime::Result<()> {
    let line = bytes(&mut caller, start, length.min(LONGEST_LINE as u32), "a line for the log")?;
    caller.data_mut().belongings.log.say(&line);
    Ok(())
}

/// Where a query's rows go.
struct Lot {
    rows: TypedFunc<(u32, u32, u32), u32>,
    memory: Memory,
    place: u32,
    room: u32,
    context: u32,
    columns: usize,
    count: usize,
    /// The head is written when the lot is handed over.
    bytes: Vec<u8>,
}

#[expect(clippy::too_many_arguments, reason = "this is the function's type in docs/PLUGINS.md")]
fn query(
    mut caller: Caller<'_, State>,
    sql: u32,
    sql_length: u32,
    parameters: u32,
    parameters_length: u32,
    place: u32,
    room: u32,
    context: u32,
) -> wasmtime::Result<()> {
    let sql = bytes(&mut caller, sql, sql_length, "a query")?;
    let Ok(sql) = String::from_utf8(sql) else { return refused("a query is not UTF-8") };
    let parameters = bytes(&mut caller, parameters, parameters_length, "the parameters of a query")?;
    let parameters = abi::read_parameters(&parameters).map_err(|error| Refused(error.to_string()))?;
    let rows = caller.get_export(ROWS).and_then(Extern::into_func);
    let Some(rows) = rows.and_then(|rows| rows.typed(&caller).ok()) else { return refused("it has no rows yet") };
    let memory = memory(&mut caller)?;
    // Before a row is kept for it: what is kept is never more than the guest has room for.
    if place as usize + room as usize > memory.data_size(&caller) {
        return refused(format!("the place for rows is outside of its memory: {room} bytes at {place}"));
    }
    let Some(mut data) = caller.data_mut().belongings.data.take() else {
        return refused("it asked a query while it took the rows of another: take them all first");
    };
    let mut lot = Lot { rows, memory, place, room, context, columns: 0, count: 0, bytes: Vec::new() };
    let mut ended = Ok(ControlFlow::Continue(()));
    let asked = data.query(&sql, &parameters, &mut |row| {
        ended = lot.add(&mut caller, row);
        match ended {
            Ok(flow) => flow,
            Err(_) => ControlFlow::Break(()),
        }
    });
    // The last rows are rows of this query too: until they are taken there is no other.
    let taken = match (ended, asked) {
        (Err(error), _) => Err(error),
        (Ok(ControlFlow::Break(())), _) => Ok(()),
        (Ok(ControlFlow::Continue(())), Ok(())) => lot.hand_over(&mut caller).map(drop),
        (_, Err(QueryError::BrokenOff)) => Err(Trap::Interrupt.into()),
        (_, Err(away @ QueryError::Away { .. })) => Err(wasmtime::Error::new(away)),
        (_, Err(failed @ QueryError::Failed(_))) => refused(failed.to_string()),
    };
    caller.data_mut().belongings.data = Some(data);
    taken
}

impl Lot {
    /// Adds a row, and hands over those before it when they fill the place.
    fn add(&mut self, caller: &mut Caller<'_, State>, row: &[Field<'_>]) -> wasmtime::Result<ControlFlow<()>> {
        let before = self.bytes.len();
        for value in row {
            abi::write_value(&mut self.bytes, *value);
        }
        let room = (self.room as usize).saturating_sub(abi::ROWS_HEAD);
        let length = self.bytes.len() - before;
        if length > room {
            return refused(format!("a row of a query takes {length} bytes, and it has room for {room}"));
        }
        self.columns = row.len();
        if self.bytes.len() > room {
            let last = self.bytes.split_off(before);
            if self.hand_over(caller)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            self.bytes = last;
        }
        self.count += 1;
        Ok(ControlFlow::Continue(()))
    }

    /// Has the guest take the rows so far, where there are any.
    fn hand_over(&mut self, caller: &mut Caller<'_, State>) -> wasmtime::Result<ControlFlow<()>> {
        let count = std::mem::take(&mut self.count);
        if count == 0 {
            return Ok(ControlFlow::Continue(()));
        }
        let mut lot = Vec::with_capacity(abi::ROWS_HEAD + self.bytes.len());
        abi::write_head(&mut lot, self.columns, count);
        lot.append(&mut self.bytes);
        if self.memory.write(&mut *caller, self.place as usize, &lot).is_err() {
            return refused(format!(
                "the place for rows is outside of its memory: {} bytes at {}",
                lot.len(),
                self.place
            ));
        }
        Ok(match self.rows.call(&mut *caller, (self.context, self.place, lot.len() as u32))? {
            0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        })
    }
}

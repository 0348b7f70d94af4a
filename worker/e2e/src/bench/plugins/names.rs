//! `name_count_*`: `name-count` on 100,000 people, as a native program and as a module, in jobs of one block of 10,000
//! records, from the job server through a core's loop and back.
//!
//! What counts is the CPU time of the core and everything below it, from the hand-in of the batch to its last result, of a
//! worker as it is for months: a job of the same size before has loaded the people, and the memory of a job was used before
//! (the first pages that a virtual machine touches cost its host more than a record does). Beside it, and in the ratios: the same matcher called directly by a program
//! that reads the same people and the same names, block by block. The three are measured in turn, several times, because a machine
//! is not as fast in one minute as in the next; the median of each counts.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nightshift_kin::Roots;
use nightshift_testbed::grid::Worker;
use nightshift_testbed::people::{self, Fields, Names, Person};

use super::super::Group;
use super::super::figure::{Figure, Line, Target};
use super::super::measure::{Watched, load_average, median};
use super::compile;
use crate::scene::Scene;

pub(super) const GROUP: Group = Group { names: &[PROCESS.rps, WASM.rps, PROCESS.ratio, WASM.ratio], run };

const PROCESS: Variant = Variant {
    plugin: "name-count-process",
    rps: "name_count_process_rps",
    ratio: "name_count_direct_ratio_process",
    most: 1.3,
};
const WASM: Variant =
    Variant { plugin: "name-count-wasm", rps: "name_count_wasm_rps", ratio: "name_count_direct_ratio_wasm", most: 2.5 };

/// Git's mode of a file that can be run.
const EXECUTABLE: u32 = 0o100_755;
const PEOPLE: usize = 100_000;
const BLOCK: usize = 10_000;
const JOBS: usize = 10;
/// So many results are compared with a plain substring count, which takes a millisecond each.
const COMPARED: usize = 500;
/// So often each is measured, in turn.
const ROUNDS: usize = 3;

struct Variant {
    plugin: &'static str,
    rps: &'static str,
    ratio: &'static str,
    most: f64,
}

fn run() -> Result<Vec<Line>> {
    let (people, names) = (people_of_two_to_four_words(1), people_of_two_to_four_words(2));
    let names: Vec<String> = names.iter().take(BLOCK * JOBS).map(|person| person.fields.name()).collect();
    let mut scene = Scene::as_shipped()?;
    put_plugins(&mut scene, &people)?;
    scene.central.cut("1.0.0")?;
    let worker = scene.worker("w1")?;
    let _cycle = worker.start_cycle()?;

    let mut lines = Vec::new();
    let alone = Alone::ready(scene.folder(), &people, &names)?;
    let (mut direct, mut process, mut wasm) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        direct.push(alone.micros()?);
        process.push(count_names(&scene, &worker, PROCESS.plugin, &people, &names)?);
        wasm.push(count_names(&scene, &worker, WASM.plugin, &people, &names)?);
    }
    let direct = median(direct);
    for (variant, used) in [(PROCESS, process), (WASM, wasm)] {
        let each = median(used);
        let (rps, beside) = (1e6 / each, 1e6 / direct);
        let note = format!("{each:.1} us of CPU a record, {direct:.1} directly; load {}", load_average()?);
        let rate = Figure::new(variant.rps, rps, "/CPU-s", Target::AtLeast(10_000.0), "the matcher directly", beside);
        let ratio =
            Figure::new(variant.ratio, each / direct, "x", Target::AtMost(variant.most), "the matcher directly", 1.0);
        lines.extend([Line::Measured(rate.noting(note)), Line::Measured(ratio)]);
    }
    lines.sort_by_key(|line| GROUP.names.iter().position(|name| *name == line.name()));
    Ok(lines)
}

/// Counts the names by `plugin`; the CPU time that the core and what is below it used for that, in microseconds a record.
fn count_names(scene: &Scene, worker: &Worker, plugin: &str, people: &[Person], names: &[String]) -> Result<f64> {
    let csv = |names: &[String]| names.iter().fold("name\n".to_owned(), |csv, name| csv + name + "\n");
    scene.done(scene.hand_in(plugin, &csv(&names[..BLOCK]), BLOCK as u32)?.id)?;
    let before = cpu(worker)?;
    let batch = scene.done(scene.hand_in(plugin, &csv(names), BLOCK as u32)?.id)?;
    let used = cpu(worker)? - before;
    ensure!((batch.results, batch.errors) == (names.len() as u64, 0), "{plugin}: {batch:?}");
    let results = scene.results(batch.id)?;
    let rows: Vec<(String, u64, String)> =
        csv::Reader::from_reader(results.as_bytes()).deserialize().collect::<Result<_, _>>()?;
    let plainly = Names::of(people);
    for (row, name) in rows.iter().zip(names).step_by(names.len() / COMPARED) {
        let (whole, words) = plainly.count(name);
        ensure!(*row == (name.clone(), whole, words.clone()), "{plugin}: {row:?}, but {name}: {whole}, {words}");
    }
    Ok(used.as_secs_f64() * 1e6 / names.len() as f64)
}

/// CPU time of the worker's core and everything below it. The launcher is not part of it.
fn cpu(worker: &Worker) -> Result<Duration> {
    let core = worker.core().context("a core runs")?.pid;
    let below = nightshift_kin::members(&Roots { below: Some(core), ..Roots::default() })?;
    below.iter().map(|(pid, _)| *pid).chain([core]).map(|pid| Watched::new(pid).cpu()).sum()
}

/// The matcher called directly, with everything it reads.
struct Alone {
    program: PathBuf,
    people: PathBuf,
    names: PathBuf,
    records: usize,
}

impl Alone {
    fn ready(folder: &Path, people: &[Person], names: &[String]) -> Result<Alone> {
        let guest = compile::guests().join("name-count");
        let sources = [guest.join("matcher.c"), compile::own().join("direct.c")];
        let (program, people_file, names_file) =
            (folder.join("direct"), folder.join("people.txt"), folder.join("names.txt"));
        compile::native(&sources, &guest, &program)?;
        let mut text = String::new();
        for Person { fields: Fields([given, surname, ..]), .. } in people {
            writeln!(text, "{given},{surname}")?;
        }
        fs::write(&people_file, text)?;
        fs::write(&names_file, names.iter().fold(String::new(), |text, name| text + name + "\n"))?;
        Ok(Alone { program, people: people_file, names: names_file, records: names.len() })
    }

    /// The matcher's own time, in microseconds a record.
    fn micros(&self) -> Result<f64> {
        // What another program said of a block's size is passed on as a file's name would be.
        let block = PathBuf::from(BLOCK.to_string());
        let said = compile::said(&self.program, &[&self.people, &self.names, &block])?;
        let micros: f64 = said.split(' ').next().context("a time")?.parse()?;
        Ok(micros / self.records as f64)
    }
}

/// `name-count` as a program and as a module, and the people.
fn put_plugins(scene: &mut Scene, people: &[Person]) -> Result<()> {
    let guest = compile::guests().join("name-count");
    let program = scene.folder().join("name-count");
    compile::native(&[guest.join("matcher.c"), compile::guests().join("name-count-native/main.c")], &guest, &program)?;
    let manifest = |runtime: &str| {
        format!(
            "{runtime}\nblock = {BLOCK}\n[input]\nname = \"text\"\n[output]\nname_count = \"integer\"\nword_counts = \"text\"\n\
             [data]\nsource = \"repo\"\ntables = [\"people\"]\n"
        )
    };
    let module =
        fs::read(compile::guests().join("name-count-wasm/plugin.wasm")).context("reading the module of name-count")?;
    let files = [
        ("process/plugin.toml", manifest("runtime = \"process\"\ncommand = [\"./name-count\"]").into_bytes()),
        ("wasm/plugin.toml", manifest("runtime = \"wasm\"").into_bytes()),
        ("wasm/plugin.wasm", module),
    ];
    for (file, content) in files {
        scene.central.put(&format!("plugins/name-count-{file}"), content)?;
    }
    scene.central.put_with_mode("plugins/name-count-process/name-count", fs::read(&program)?, EXECUTABLE)?;
    let mut table = Vec::new();
    people::write_people(people, &mut table)?;
    scene.central.put("data/people.csv", table)
}

/// People whose names have two to four words, a third of each kind.
fn people_of_two_to_four_words(seed: u64) -> Vec<Person> {
    let mut people = people::people(PEOPLE, seed);
    let second: Vec<[String; 2]> = people::people(PEOPLE, seed + 1_000)
        .into_iter()
        .map(|Person { fields: Fields([g, s, ..]), .. }| [g, s])
        .collect();
    for (index, (person, [given, surname])) in people.iter_mut().zip(second).enumerate() {
        let Fields([own_given, own_surname, ..]) = &mut person.fields;
        if index % 3 >= 1 {
            *own_given = format!("{own_given} {given}").trim().to_owned();
        }
        if index % 3 == 2 {
            *own_surname = format!("{own_surname} {surname}").trim().to_owned();
        }
    }
    people
}

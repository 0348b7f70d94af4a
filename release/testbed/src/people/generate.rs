//! Makes people, and records about them as careless typists would have written them down.
//!
//! A quarter of the people live with the one before them: same surname, same address, so that an address alone proves
//! nothing. One record in twenty is about nobody in the table, every fifth of these about an unknown member of a
//! known household. Every record still says who is meant, as all but a handful of FEBRL's own do: at least two of
//! given name, surname, date of birth and number survive, for an unknown member of a household all of them.

use std::collections::HashSet;

use fastrand::Rng;

use super::words::{
    GIVEN, HOUSE_ENDS, HOUSE_STARTS, PARTICLES, STATES, STREET_KINDS, SUBURB_ENDS, SUBURB_STARTS, SURNAME_ENDS,
    SURNAME_STARTS, SURNAMES,
};
use super::{Fields, Person, Record};

const GIVEN_NAME: usize = 0;
const SURNAME: usize = 1;
const ADDRESS_1: usize = 3;
const ADDRESS_2: usize = 4;
const DATE_OF_BIRTH: usize = 8;
const NUMBER: usize = 9;

/// How often a column is empty in the people's table, in a thousand.
const MISSING: [u32; 10] = [10, 8, 30, 20, 80, 10, 0, 10, 20, 0];

/// Makes `count` people.
pub fn people(count: usize, seed: u64) -> Vec<Person> {
    let mut rng = Rng::with_seed(seed);
    let mut numbers = HashSet::new();
    let mut people: Vec<Person> = Vec::with_capacity(count);
    for index in 0..count {
        let mut fields = match people.last() {
            Some(housemate) if rng.u32(..4) == 0 => live_with(&mut rng, &housemate.fields),
            _ => stranger(&mut rng),
        };
        while !numbers.insert(fields.0[NUMBER].clone()) {
            fields.0[NUMBER] = number(&mut rng);
        }
        for (value, per_thousand) in fields.0.iter_mut().zip(MISSING) {
            if rng.u32(..1000) < per_thousand {
                value.clear();
            }
        }
        people.push(Person { id: format!("rec-{index}-org"), fields });
    }
    people
}

/// Makes `count` records about `people`, which must not be empty.
pub fn records(people: &[Person], count: usize, seed: u64) -> Vec<Record> {
    // Never the same stream as `people`, whatever the seeds: the strangers made here would be the people made there.
    let mut rng = Rng::with_seed(!seed).fork();
    let mut copies = vec![0; people.len()];
    let mut records = Vec::with_capacity(count);
    for index in 0..count {
        if rng.u32(..20) == 0 {
            let id = format!("rec-{}-dup-0", people.len() + index);
            records.push(Record { id, fields: nobody(&mut rng, people), truth: None });
            continue;
        }
        let who = rng.usize(..people.len());
        let Person { id, fields } = &people[who];
        let copy = copies[who];
        copies[who] += 1;
        records.push(Record {
            id: format!("{}-dup-{copy}", id.trim_end_matches("-org")),
            fields: careless_copy(&mut rng, fields, 2),
            truth: Some(id.clone()),
        });
    }
    records
}

fn nobody(rng: &mut Rng, people: &[Person]) -> Fields {
    let known = &people[rng.usize(..people.len())].fields;
    let named = [GIVEN_NAME, SURNAME, DATE_OF_BIRTH].iter().all(|&column| !known.0[column].is_empty());
    if named && rng.u32(..5) == 0 {
        let unknown_member = live_with(rng, known);
        careless_copy(rng, &unknown_member, 4)
    } else {
        let stranger = stranger(rng);
        careless_copy(rng, &stranger, 2)
    }
}

fn stranger(rng: &mut Rng) -> Fields {
    let suburb_number = rng.usize(..SUBURB_STARTS.len() * SUBURB_ENDS.len());
    let suburb =
        [SUBURB_STARTS[suburb_number / SUBURB_ENDS.len()], SUBURB_ENDS[suburb_number % SUBURB_ENDS.len()]].concat();
    let surname = surname(rng);
    Fields([
        given_name(rng, &surname),
        surname,
        (1 + frequent_first(rng, 200)).to_string(),
        format!("{} {}", plain_surname(rng), pick(rng, STREET_KINDS)),
        format!("{} {}", pick(rng, HOUSE_STARTS), pick(rng, HOUSE_ENDS)),
        suburb,
        (2000 + suburb_number * 7).to_string(),
        STATES[suburb_number % STATES.len()].to_owned(),
        date_of_birth(rng),
        number(rng),
    ])
}

fn live_with(rng: &mut Rng, housemate: &Fields) -> Fields {
    let mut fields = housemate.clone();
    while fields.0[GIVEN_NAME].is_empty() || fields.0[GIVEN_NAME] == housemate.0[GIVEN_NAME] {
        fields.0[GIVEN_NAME] = given_name(rng, &housemate.0[SURNAME]);
    }
    fields.0[DATE_OF_BIRTH] = date_of_birth(rng);
    fields.0[NUMBER] = number(rng);
    fields
}

/// One given name, sometimes two where the surname leaves room: a name has four words at most.
fn given_name(rng: &mut Rng, surname: &str) -> String {
    let first = frequent(rng, GIVEN);
    let room = surname.split(' ').count() < 3;
    if room && rng.u32(..8) == 0 { format!("{first} {}", pick(rng, GIVEN)) } else { first.to_owned() }
}

fn surname(rng: &mut Rng) -> String {
    let plain = plain_surname(rng);
    if rng.u32(..15) == 0 { format!("{} {plain}", pick(rng, PARTICLES)) } else { plain }
}

fn plain_surname(rng: &mut Rng) -> String {
    if rng.u32(..3) == 0 {
        frequent(rng, SURNAMES).to_owned()
    } else {
        [pick(rng, SURNAME_STARTS), pick(rng, SURNAME_ENDS)].concat()
    }
}

fn date_of_birth(rng: &mut Rng) -> String {
    format!("{}{:02}{:02}", rng.u32(1920..2006), rng.u32(1..=12), rng.u32(1..=28))
}

fn number(rng: &mut Rng) -> String {
    rng.u32(1_000_000..10_000_000).to_string()
}

fn pick<'a>(rng: &mut Rng, from: &[&'a str]) -> &'a str {
    from[rng.usize(..from.len())]
}

/// Like [`pick`], but the first words come up far more often, as they do with real names.
fn frequent<'a>(rng: &mut Rng, from: &[&'a str]) -> &'a str {
    from[frequent_first(rng, from.len())]
}

fn frequent_first(rng: &mut Rng, count: usize) -> usize {
    let chance = rng.f64();
    ((chance * chance * count as f64) as usize).min(count - 1)
}

/// Copies `original` with none to six errors, so that `surviving` of the four telling values survive.
fn careless_copy(rng: &mut Rng, original: &Fields, surviving: usize) -> Fields {
    loop {
        let mut copy = original.clone();
        let errors = [0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 6][rng.usize(..20)];
        for _ in 0..errors {
            make_error(rng, &mut copy);
        }
        if telling_values(original, &copy) >= surviving {
            return copy;
        }
    }
}

/// How many of given name, surname, date of birth and number `copy` still tells.
fn telling_values(original: &Fields, copy: &Fields) -> usize {
    let told = |column: usize| !copy.0[column].is_empty() && copy.0[column] == original.0[column];
    let swapped = !copy.0[GIVEN_NAME].is_empty()
        && copy.0[GIVEN_NAME] == original.0[SURNAME]
        && copy.0[SURNAME] == original.0[GIVEN_NAME];
    let names = if swapped { 2 } else { usize::from(told(GIVEN_NAME)) + usize::from(told(SURNAME)) };
    names + usize::from(told(DATE_OF_BIRTH)) + usize::from(told(NUMBER))
}

fn make_error(rng: &mut Rng, fields: &mut Fields) {
    match rng.u32(..20) {
        0..=11 => {
            let column = rng.usize(..fields.0.len());
            fields.0[column] = mistype(rng, &fields.0[column]);
        }
        12..=14 => fields.0[rng.usize(..NUMBER)].clear(),
        15..=17 => {
            let column = rng.usize(..fields.0.len());
            fields.0[column] = std::mem::take(&mut stranger(rng).0[column]);
        }
        18 => fields.0.swap(GIVEN_NAME, SURNAME),
        _ => fields.0.swap(ADDRESS_1, ADDRESS_2),
    }
}

/// One slip of the finger: a character left out, doubled by a neighbour, hit wrongly or swapped with the next one, or
/// a blank in the wrong place.
fn mistype(rng: &mut Rng, value: &str) -> String {
    let mut chars: Vec<char> = value.chars().collect();
    if chars.len() < 2 {
        return value.to_owned();
    }
    let digits = chars.iter().all(char::is_ascii_digit);
    let any = |rng: &mut Rng| if digits { rng.digit(10) } else { rng.lowercase() };
    let at = rng.usize(..chars.len() - 1);
    match rng.u32(..if digits { 2 } else { 5 }) {
        0 => chars.swap(at, at + 1),
        1 => chars[at] = any(rng),
        2 => drop(chars.remove(at)),
        3 => chars.insert(at, any(rng)),
        _ => match chars.iter().position(|&c| c == ' ') {
            Some(blank) => drop(chars.remove(blank)),
            None => chars.insert(at + 1, ' '),
        },
    }
    chars.into_iter().collect::<String>().trim().to_owned()
}

//! Why workers do not work, as it is counted: reasons that differ in numbers alone are one reason.

/// The longest reason that is counted; the rest of a longer one is left out.
pub const LONGEST: usize = 160;
/// States in which a reason is of interest; at work it is the job, and who is away gives none.
const WITH_REASON: [&str; 5] = ["waiting", "resting", "stopped", "blocked", "drained"];
/// So many reasons are told apart at a time; rarer ones count as [`OTHER`].
pub const MOST: usize = 30;
/// What rare reasons are counted as.
pub const OTHER: &str = "other reasons";

/// What a reason is counted as, given by a worker in a state.
pub fn kind(state: &str, reason: &str) -> String {
    if !WITH_REASON.contains(&state) {
        return String::new();
    }
    let mut kind = String::new();
    let mut letters = 0;
    let mut signs = reason.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).peekable();
    while let Some(sign) = signs.next() {
        letters += 1;
        if letters > LONGEST {
            break;
        }
        if sign.is_ascii_digit() {
            // A number with its points and colons: 1.5.0, 18:00, 1,000.
            let goes_on = |next: &char| next.is_ascii_digit() || ".,:".contains(*next);
            let mut last = sign;
            while let Some(next) = signs.next_if(goes_on) {
                last = next;
            }
            kind.push('…');
            if !last.is_ascii_digit() {
                kind.push(last);
            }
        } else {
            kind.push(sign);
        }
    }
    kind.trim().to_owned()
}

/// Workers by state and kind of reason, of those by state and reason, the largest first; of many kinds the rarest together.
pub fn counted(workers: impl IntoIterator<Item = (String, String, u64)>) -> Vec<(String, String, u64)> {
    let mut counted = std::collections::BTreeMap::<(String, String), u64>::new();
    for (state, reason, workers) in workers {
        let kind = kind(&state, &reason);
        *counted.entry((state, kind)).or_default() += workers;
    }
    let mut counted: Vec<_> = counted.into_iter().map(|((state, kind), workers)| (state, kind, workers)).collect();
    counted.sort_by_key(|(.., workers)| std::cmp::Reverse(*workers));
    let rare = counted.split_off(counted.len().min(MOST));
    for (state, kind, workers) in rare {
        let kind = if kind.is_empty() { kind } else { OTHER.to_owned() };
        match counted.iter_mut().find(|known| known.0 == state && known.1 == kind) {
            Some(known) => known.2 += workers,
            None => counted.push((state, kind, workers)),
        }
    }
    counted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_that_differ_in_numbers_alone_are_one() {
        assert_eq!(kind("blocked", "its replica is 37 s behind"), "its replica is … s behind");
        assert_eq!(kind("resting", "outside working hours until 18:00."), "outside working hours until ….");
        assert_eq!(kind("waiting", "v1.5.0 is on trial"), "v… is on trial");
        assert_eq!(kind("working", "job 7 (names), 250 of 1000 records"), "", "at work the reason is the job");
        assert_eq!(kind("away", "whatever"), "");
        assert_eq!(kind("blocked", &"é".repeat(1_000)).chars().count(), LONGEST);
        assert_eq!(kind("blocked", "two\nlines"), "two lines");
    }

    #[test]
    fn rare_reasons_are_counted_together_and_nobody_is_lost() {
        let letters = |n: u64| (0..=n).map(|_| 'x').collect::<String>();
        let many = (0..100).map(|n| ("blocked".to_owned(), letters(n), 100 - n));
        let at_work = [("working".to_owned(), "job 1".to_owned(), 3), ("working".to_owned(), "job 2".to_owned(), 4)];
        let counted = counted(many.chain(at_work));
        assert_eq!(counted.iter().map(|(.., workers)| workers).sum::<u64>(), 5_050 + 7);
        assert!(counted.len() <= MOST + 2, "{}", counted.len());
        assert!(counted.contains(&("working".to_owned(), String::new(), 7)), "{counted:?}");
        assert!(counted.iter().any(|(state, kind, _)| state == "blocked" && kind == OTHER));
    }
}

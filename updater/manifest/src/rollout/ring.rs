//! Which ring of a plan a worker belongs to: by its tags, else by a number that is drawn anew for each release.
//!
//! The number is the first 8 bytes, big-endian, of the SHA-256 of `WORKER`, a line feed and `TAG`, modulo 10,000: a share
//! of the grid in hundredths of a percent. It is the same on every machine, for ever, and another one for the next
//! release, so that it is not always the same PCs that go first. By hand:
//! `printf '%s\n%s' WORKER v1.5.0 | sha256sum | cut -c1-16`, read as hexadecimal, modulo 10,000.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::plan::{Plan, Ring};

/// A whole grid, in the hundredths of a percent that shares are measured in.
pub const SHARES: u32 = 10_000;

/// Where a worker stands for a release, from 0 up to and without [`SHARES`]. A ring of 5 % has those below 500.
pub fn share(worker: &str, tag: &str) -> u32 {
    let digest = Sha256::new().chain_update(worker).chain_update("\n").chain_update(tag).finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    (u64::from_be_bytes(first) % u64::from(SHARES)) as u32
}

impl Plan {
    /// The place of the ring a worker belongs to, from 0 on: the first ring that names one of its tags; else the first
    /// whose percentage covers its share; the last ring is everybody else's.
    pub fn ring_of(&self, worker: &str, tags: &BTreeSet<String>, tag: &str) -> usize {
        let by_tag = self.rings.iter().position(|ring| !ring.tags.is_disjoint(tags));
        let share = share(worker, tag);
        let covers = |ring: &Ring| match ring.share {
            Some(limit) => share < limit,
            None => ring.tags.is_empty(),
        };
        by_tag.or_else(|| self.rings.iter().position(covers)).unwrap_or(self.rings.len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::GridSettings;

    fn plan(rings: &str) -> Plan {
        let text = format!("[rollout]\n{rings}");
        GridSettings::parse(&text, "nightshift.toml").expect(&text).rollout.expect("a plan")
    }

    const THREE: &str = "[[rollout.ring]]\nname = \"canary\"\ntags = [\"canary\"]\n\
                         [[rollout.ring]]\nname = \"early\"\npercent = 10\n[[rollout.ring]]\nname = \"all\"\n";

    #[test]
    fn the_share_of_a_worker_is_the_same_for_ever() {
        let drawn = [
            ("0190b6f2-0000-7000-8000-000000000001", "v1.5.0"),
            ("0190b6f2-0000-7000-8000-000000000001", "v1.5.1"),
            ("0190b6f2-0000-7000-8000-000000000002", "v1.5.0"),
            ("w1", "v2.0.0"),
        ]
        .map(|(worker, tag)| share(worker, tag));
        assert_eq!(drawn, FIXED);
    }

    const FIXED: [u32; 4] = [2325, 1835, 8156, 8770];

    #[test]
    fn it_is_not_always_the_same_workers_that_go_first() {
        let first = |tag: &str| (0..1000).filter(|worker| share(&format!("w{worker}"), tag) < 1000).collect::<Vec<_>>();
        let (one, two) = (first("v1.0.0"), first("v1.0.1"));
        assert!((70..=130).contains(&one.len()) && (70..=130).contains(&two.len()), "{} {}", one.len(), two.len());
        let both = one.iter().filter(|worker| two.contains(worker)).count();
        assert!(both < 30, "{both} of {} are first again", one.len());
    }

    #[test]
    fn a_worker_belongs_to_the_first_ring_that_names_one_of_its_tags() {
        let plan = plan(THREE);
        let tags = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect();
        assert_eq!(plan.ring_of("w", &tags(&["canary", "gpu"]), "v1.0.0"), 0);
        for worker in 0..200 {
            let worker = format!("w{worker}");
            let expected = if share(&worker, "v1.0.0") < 1000 { 1 } else { 2 };
            assert_eq!(plan.ring_of(&worker, &tags(&["gpu"]), "v1.0.0"), expected);
        }
    }

    #[test]
    fn percentages_count_from_the_beginning_of_the_grid() {
        let plan = plan(
            "[[rollout.ring]]\nname = \"a\"\npercent = 10\n[[rollout.ring]]\nname = \"b\"\npercent = 50\n\
             [[rollout.ring]]\nname = \"c\"\n",
        );
        let mut members = [0; 3];
        for worker in 0..2000 {
            members[plan.ring_of(&format!("w{worker}"), &BTreeSet::new(), "v1.0.0")] += 1;
        }
        assert!((140..=260).contains(&members[0]), "{members:?}");
        assert!((700..=900).contains(&members[1]), "{members:?}");
    }
}

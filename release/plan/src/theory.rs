//! The arithmetic of the articles: what idle PCs would bring if nothing ever went wrong and nothing took time but work.

use serde::Serialize;

use crate::{DAY_MS, Office};

/// What an office would bring.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Theory {
    /// One PC, as a share of the server of today: its speed times the part of the day that it is idle.
    pub pc: f64,
    /// So many PCs do as much as that server.
    pub pcs_a_server: u64,
    /// Whole jobs of today's size that one PC does a day.
    pub pc_jobs_a_day: u64,
    /// The whole grid in servers of today, the server among them when it goes on working.
    pub servers: f64,
    /// Jobs of today's size a day.
    pub jobs_a_day: f64,
    /// The same by whole servers: "all results are rounded to underestimate".
    pub jobs_a_day_rounded: u64,
}

/// Works it out.
pub fn theory(office: &Office) -> Theory {
    let pc = office.speed * (office.idle_ms as f64 / DAY_MS as f64);
    let servers = f64::from(u8::from(office.server_works)) + f64::from(office.pcs) * pc;
    Theory {
        pc,
        pcs_a_server: (1.0 / pc - ROUNDING).ceil() as u64,
        pc_jobs_a_day: (office.today.jobs_a_day * pc + ROUNDING).floor() as u64,
        servers,
        jobs_a_day: servers * office.today.jobs_a_day,
        jobs_a_day_rounded: ((servers + ROUNDING).floor() * office.today.jobs_a_day) as u64,
    }
}

/// So much less than a whole is a whole: a tenth has no exact value.
const ROUNDING: f64 = 1e-9;

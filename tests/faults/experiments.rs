//! Everything that is broken here, in the order of the catalogue.

use crate::experiment::{BOTH, Experiment, POSTGRES, Right, SQLITE};

mod clocks;
mod databases;
mod disks;
mod failpoints;
mod keeping;
mod mixed;
mod power;
mod processes;

macro_rules! run {
    ($function:path) => {
        |context| Box::pin($function(context))
    };
}

pub(crate) const ALL: &[Experiment] = &[
    of("kill-api", &[1, 78], POSTGRES, true, run!(processes::kill_api)),
    of("kill-worker", &[1, 2, 26], BOTH, true, run!(processes::kill_worker)),
    of("kill-all-in-one", &[1, 2], POSTGRES, true, run!(processes::kill_all_in_one)),
    of("kill-after-answer", &[3], BOTH, true, run!(failpoints::kill_after_answer)),
    of("kill-before-send", &[4], BOTH, true, run!(failpoints::kill_before_send)),
    of("kill-before-commit", &[5], BOTH, false, run!(failpoints::kill_before_commit)),
    of("kill-after-commit", &[6, 62], BOTH, true, run!(failpoints::kill_after_commit)),
    of("terminate", &[7], BOTH, true, run!(processes::terminate)),
    of("terminate-and-kill", &[8], BOTH, false, run!(processes::terminate_and_kill)),
    of("freeze-worker", &[9], POSTGRES, true, run!(processes::freeze_worker)),
    of("rolling-restart", &[11], POSTGRES, false, run!(processes::rolling_restart)),
    needing(Right::Trace, of("power-loss", &[12], SQLITE, true, run!(power::every_202_is_on_disk))),
    of("stop-database", &[13], POSTGRES, false, run!(databases::stop)),
    of("kill-database", &[14], POSTGRES, true, run!(databases::kill)),
    of("kill-worker-and-database", &[2, 14], POSTGRES, false, run!(databases::kill_with_worker)),
    of("standby-promoted", &[15], POSTGRES, false, run!(databases::promote_standby)),
    of("held-writes", &[16, 20], BOTH, false, run!(databases::hold_writes)),
    of("black-hole", &[17, 77], POSTGRES, false, run!(databases::black_hole)),
    of("cut-wire", &[13], POSTGRES, true, run!(databases::cut_wire)),
    of("slow-wire", &[18], POSTGRES, false, run!(databases::slow_wire)),
    of("rolled-back", &[19], POSTGRES, true, run!(databases::roll_back)),
    needing(Right::Mount, of("disk-full", &[21, 22, 23], BOTH, true, run!(disks::full))),
    needing(Right::Mount, of("read-only-disk", &[24], SQLITE, false, run!(disks::read_only))),
    needing(Right::Limit, of("little-memory", &[25], BOTH, false, run!(processes::little_memory))),
    of("few-descriptors", &[27], BOTH, false, run!(processes::few_descriptors)),
    of("little-processor", &[28], POSTGRES, false, run!(processes::little_processor)),
    of("clock-jumps", &[29], BOTH, false, run!(clocks::jumps)),
    of("two-clocks", &[32], POSTGRES, false, run!(clocks::two)),
    of("migration-interrupted", &[71], BOTH, false, run!(databases::migration_interrupted)),
    of("backup", &[72], BOTH, false, run!(keeping::back_up)),
    of("forgetting", &[75], BOTH, false, run!(keeping::forget)),
    of("parted-worker", &[77], POSTGRES, false, run!(databases::part_worker)),
    of("ill-destinations", &[49, 74], BOTH, false, run!(mixed::ill_destinations)),
    of("chaos", &[80], BOTH, false, run!(mixed::chaos)),
];

const fn of(
    name: &'static str,
    numbers: &'static [u8],
    on: &'static [harness::Kind],
    smoke: bool,
    run: crate::experiment::Run,
) -> Experiment {
    Experiment { name, numbers, on, smoke, needs: None, run }
}

const fn needing(right: Right, it: Experiment) -> Experiment {
    Experiment { needs: Some(right), ..it }
}

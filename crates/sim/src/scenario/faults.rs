//! What strikes the broker, and how it starts again.
use std::time::Duration;

use env::sim::Machine;
use env::sim::disk::{self, Call};

use super::Run;
use crate::broker;

/// How a process of the broker ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    Kill,
    /// Inside a call of the disk.
    KillInCall,
    PowerLoss,
    /// Power fails inside one of the next calls of the disk.
    PowerLossInCall,
    CleanStop,
    /// A sync fails, and the kernel holds what it covered for written. Then the process is killed, or power fails.
    SyncError,
}

pub(super) const FAULTS: [Fault; 12] = [
    Fault::Kill,
    Fault::KillInCall,
    Fault::KillInCall,
    Fault::PowerLoss,
    Fault::PowerLossInCall,
    Fault::PowerLossInCall,
    Fault::PowerLossInCall,
    Fault::PowerLossInCall,
    Fault::PowerLossInCall,
    Fault::CleanStop,
    Fault::SyncError,
    Fault::SyncError,
];
/// Calls to end in: each has a rule that makes it harmless.
const CALLS: &[(Call, &str)] = &[
    (Call::Write, "/lane/"),
    (Call::Write, "/lane/"),
    (Call::SyncData, "/lane/"),
    (Call::SyncData, "/lane/"),
    (Call::Write, ".log"),
    (Call::SyncData, ".log"),
    (Call::CreateFile, ".log"),
    (Call::SyncDir, "/data/"),
    (Call::RemoveFile, ".log"),
    (Call::Write, "checkpoint-"),
    (Call::SyncData, "checkpoint-"),
    (Call::Write, "/metadata/"),
];
/// The same for a broker that is starting.
const CALLS_OF_A_START: &[(Call, &str)] = &[
    (Call::Write, "/lane/"),
    (Call::SyncData, "/lane/"),
    (Call::Write, ".log"),
    (Call::SyncData, ".log"),
    (Call::SetLen, ".log"),
    (Call::SyncDir, "/data"),
];
/// A broker that was asked to stop has stopped by then.
const STOP_MAX: Duration = Duration::from_secs(5);

impl Run {
    pub(super) async fn strike(&mut self, fault: Fault) {
        self.world.note(&format!("{fault:?}"));
        match fault {
            Fault::Kill => self.machine.kill(),
            Fault::KillInCall => {
                let (call, part) = *self.chance.pick(CALLS);
                self.machine.kill_in_call(call, part, self.chance.in_range(0..8));
                self.ended_by(Duration::from_secs(2), Machine::kill).await;
            }
            Fault::PowerLoss => self.machine.power_loss(),
            Fault::PowerLossInCall => {
                self.plan_power_loss(60, CALLS);
                self.ended_by(Duration::from_secs(2), Machine::power_loss).await;
            }
            Fault::CleanStop => {
                let patience = self.world.sleep(STOP_MAX);
                tokio::select! {
                    biased;
                    () = self.process.stop() => {}
                    () = patience => panic!("the broker does not stop"),
                }
                self.machine.kill();
            }
            Fault::SyncError => {
                let part = *self.chance.pick(&["/lane/", "/lane/", "/lane/", ".log", "checkpoint-"]);
                let fault = disk::Fault::input_output(Call::SyncData).on_path(part);
                self.machine.disk().inject(fault.after(self.chance.in_range(0..4)));
                let span = Duration::from_millis(self.chance.in_range(1..150));
                self.world.sleep(span).await;
            }
        }
        let mut lost_power = matches!(fault, Fault::PowerLoss | Fault::PowerLossInCall);
        match fault {
            Fault::Kill | Fault::KillInCall => self.summary.kills += 1,
            Fault::CleanStop => self.summary.clean_stops += 1,
            Fault::PowerLoss | Fault::PowerLossInCall => self.summary.power_losses += 1,
            Fault::SyncError => {
                self.summary.sync_errors += 1;
                lost_power = self.chance.happens(0.5);
                if lost_power { self.machine.power_loss() } else { self.machine.kill() }
            }
        }
        self.shared.ledger().went_down(lost_power.then(|| self.shared.now()));
    }

    /// Power fails in one of the next calls of the disk, whichever it is, or in one of a certain kind.
    fn plan_power_loss(&mut self, calls: u64, kinds: &[(Call, &str)]) {
        if self.chance.happens(0.5) {
            self.machine.power_loss_in(self.chance.in_range(0..calls));
        } else {
            let (call, part) = *self.chance.pick(kinds);
            self.machine.power_loss_in_call(call, part, self.chance.in_range(0..4));
        }
    }

    /// Waits for the end that is planned. The call that it waits for may never come: then it ends without.
    async fn ended_by(&self, patience: Duration, end: impl FnOnce(&Machine)) {
        let patience = self.world.sleep(patience);
        tokio::select! {
            biased;
            () = self.machine.down() => {}
            () = patience => end(&self.machine),
        }
    }

    /// Boots until it stays up: power may fail again while it recovers.
    pub(super) async fn start_again(&mut self) {
        loop {
            let pause = Duration::from_micros(self.chance.in_range(0..30_000));
            self.world.sleep(pause).await;
            self.machine.boot();
            if self.chance.happens(0.2) {
                self.machine.jump_wall_ms(self.chance.in_range(0..2_000) as i64 - 1_000);
            }
            let again = self.chance.happens(0.35);
            if again {
                self.plan_power_loss(25, CALLS_OF_A_START);
            }
            self.process = broker::start(&self.machine, &self.setup);
            self.shared.ledger().booted(Some(self.machine.disk()));
            if !again {
                return;
            }
            self.ended_by(Duration::from_millis(500), Machine::power_loss).await;
            self.summary.power_losses += 1;
            self.shared.ledger().went_down(Some(self.shared.now()));
        }
    }
}

//! SIGTERM and SIGINT in the life of a broker: one ends a start, asks a running broker to stop, or ends a stop. What a
//! stop does is the node's.
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use env::Env;
use tokio::sync::mpsc;

pub struct Signals {
    arrived: mpsc::Receiver<()>,
    in_order: Arc<AtomicBool>,
}

/// One stops, a second one ends the stop.
const SIGNALS_MAX: usize = 2;

impl Signals {
    /// From here on signals end the process at once, until [`Signals::stop_in_order`]. Call it in a task.
    pub fn listen(env: &Env) -> io::Result<Signals> {
        let mut termination = env::process::termination()?;
        let in_order = Arc::new(AtomicBool::new(false));
        let (arrives, arrived) = mpsc::channel(SIGNALS_MAX);
        let watch = {
            let in_order = in_order.clone();
            async move {
                loop {
                    termination.next().await;
                    // A start blocks its thread, for seconds where much is to be recovered. Nothing is acknowledged yet.
                    if !in_order.load(Ordering::Acquire) {
                        tracing::info!("ended before it was started");
                        env::process::exit(0);
                    }
                    let _ = arrives.try_send(());
                }
            }
        };
        env.spawn.task("signals", Box::pin(watch));
        Ok(Signals { arrived, in_order })
    }

    /// From here on they are for who calls [`Signals::next`].
    pub fn stop_in_order(&self) {
        self.in_order.store(true, Ordering::Release);
    }

    pub async fn next(&mut self) {
        self.arrived.recv().await.expect("the watching task never ends");
    }
}

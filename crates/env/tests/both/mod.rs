//! Runs one promise in the real world and in simulated ones.
use env::Env;
use env::sim::{Settings, simulate};

pub const SEEDS: u64 = 30;

pub fn on_both<F>(check: impl Fn(Env) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = env::real::Runtime::new(2).unwrap();
    runtime.block_on(check(runtime.env()));
    for seed in 0..SEEDS {
        simulate(Settings::seed(seed), |world| check(world.env()));
    }
}

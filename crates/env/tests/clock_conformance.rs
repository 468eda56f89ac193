//! What every implementation of `Clock` does, asked of the machine and of the simulator alike.
mod both;

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use both::on_both;
use env::Instant;

const SHORT: Duration = Duration::from_millis(3);

#[test]
fn time_never_goes_back() {
    on_both(|env| async move {
        let (mut last, wall) = (env.clock.now(), env.clock.wall_ms());
        for _ in 0..1000 {
            let now = env.clock.now();
            assert!(now >= last);
            last = now;
        }
        assert!(env.clock.wall_ms() >= wall && wall > 1_600_000_000_000);
    });
}

#[test]
fn a_sleep_ends_at_its_time_and_not_before() {
    on_both(|env| async move {
        let began = env.clock.now();
        env.clock.sleep_until(began + SHORT).await;
        assert!(env.clock.now() >= began + SHORT);
        env.clock.sleep_until(began).await;
        env.clock.sleep_until(Instant(0)).await;
    });
}

#[test]
fn the_earlier_of_two_sleeps_ends_first_whichever_began_first() {
    on_both(|env| async move {
        let now = env.clock.now();
        let mut late = env.clock.sleep_until(now + SHORT * 20);
        let mut early = env.clock.sleep_until(now + SHORT);
        let mut never = env.clock.sleep_until(Instant::NEVER);
        poll_fn(|context| {
            assert!(never.as_mut().poll(context).is_pending());
            assert!(late.as_mut().poll(context).is_pending());
            early.as_mut().poll(context)
        })
        .await;
        assert!(env.clock.now() < now + SHORT * 20);
    });
}

#[test]
fn a_sleep_wakes_whoever_polled_it_last() {
    on_both(|env| async move {
        let mut sleep = env.clock.sleep_until(env.clock.now() + SHORT);
        // Polled here once, then finished in a task.
        poll_fn(|context| {
            assert!(pin!(&mut sleep).poll(context).is_pending());
            Poll::Ready(())
        })
        .await;
        let (done, finished) = tokio::sync::oneshot::channel();
        env.spawn.task(
            "sleeper",
            Box::pin(async move {
                sleep.await;
                done.send(()).unwrap();
            }),
        );
        finished.await.unwrap();
    });
}

//! The network of a simulated world: which machine listens where, and who can reach whom. The bytes of one connection
//! are in `link`.
mod link;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};

pub use link::{Link, Side};

use super::chance::Chance;
use super::clock::Sleep;
use super::core::{Core, Event, lock};
use super::machine::{Boot, MachineCore};
use crate::BoxFuture;
use crate::net::{Connection, Listening};

/// How long a machine tries to reach another that does not answer.
const CONNECT_TIMEOUT_NS: u64 = 20_000_000_000;
const CONNECT_RETRY_NS: u64 = 1_000_000_000;
const EPHEMERAL_PORTS: std::ops::Range<u16> = 32_768..61_000;

pub struct Network {
    state: Mutex<State>,
    pub chance: Mutex<Chance>,
}

struct State {
    listeners: BTreeMap<Place, Arc<Backlog>>,
    /// Pairs of machines, the lesser first, between which nothing gets through.
    parted: BTreeSet<(usize, usize)>,
    /// What would have arrived if it had got through.
    held: Vec<Event>,
    links: Vec<Weak<Link>>,
    next_port: u16,
}

/// Where a listener is: a machine, a port, and the address it was bound to.
type Place = (usize, u16, IpAddr);

struct Backlog {
    accepting: Mutex<Accepting>,
    connections_max: usize,
}

#[derive(Default)]
struct Accepting {
    waiting: VecDeque<Connection>,
    waker: Option<Waker>,
}

pub struct Net {
    pub boot: Arc<Boot>,
}

impl Network {
    pub fn new(chance: Chance) -> Self {
        let state = State {
            listeners: BTreeMap::new(),
            parted: BTreeSet::new(),
            held: Vec::new(),
            links: Vec::new(),
            next_port: EPHEMERAL_PORTS.start,
        };
        Self { state: Mutex::new(state), chance: Mutex::new(chance) }
    }

    pub fn part(&self, one: usize, other: usize) {
        lock(&self.state).parted.insert((one.min(other), one.max(other)));
    }

    /// Everything gets through again, and what was held back does so now.
    pub fn heal(&self, core: &Core) {
        let mut state = lock(&self.state);
        state.parted.clear();
        let held = std::mem::take(&mut state.held);
        drop(state);
        for event in held {
            core.schedule(self.arrival(core), event);
        }
    }

    /// Keeps this event back, and answers true, if nothing gets through between the two.
    pub fn holds(&self, [one, other]: [usize; 2], event: impl FnOnce() -> Event) -> bool {
        let mut state = lock(&self.state);
        let parted = state.are_parted(one, other);
        if parted {
            state.held.push(event());
        }
        parted
    }

    /// When something arrives that is sent now.
    pub fn arrival(&self, core: &Core) -> u64 {
        let settings = &core.settings;
        let (usual, rare) = (&settings.network_ns, &settings.network_hiccup_ns);
        core.now() + lock(&self.chance).span(usual, settings.network_hiccup_probability, rare)
    }

    pub fn links_of(&self, machine: usize) -> Vec<Arc<Link>> {
        let state = lock(&self.state);
        state.links.iter().filter_map(Weak::upgrade).filter(|link| link.machines().contains(&machine)).collect()
    }

    pub fn forget_listeners(&self, machine: usize) {
        let mut state = lock(&self.state);
        let (gone, kept) = std::mem::take(&mut state.listeners).into_iter().partition(|((of, ..), _)| *of == machine);
        state.listeners = kept;
        drop(state);
        let gone: BTreeMap<Place, Arc<Backlog>> = gone;
        for backlog in gone.values() {
            backlog.empty();
        }
    }

    pub fn clear(&self) {
        let mut state = lock(&self.state);
        let held = std::mem::take(&mut state.held);
        let listeners = std::mem::take(&mut state.listeners);
        drop(state);
        drop(held);
        listeners.values().for_each(|backlog| backlog.empty());
    }

    fn listen(&self, boot: &Arc<Boot>, address: SocketAddr, backlog: u32) -> io::Result<Listener> {
        let machine = boot.machine.id;
        let ip = address.ip();
        if !ip.is_unspecified() && !ip.is_loopback() && ip != boot.machine.ip() {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        }
        let mut state = lock(&self.state);
        let port = if address.port() == 0 { state.free_port(machine) } else { address.port() };
        if state.listeners_at(machine, port).any(|(bound, _)| covers(bound, ip) || covers(ip, bound)) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let backlog = Arc::new(Backlog { accepting: Mutex::default(), connections_max: backlog.max(1) as usize });
        let place = (machine, port, ip);
        state.listeners.insert(place, backlog.clone());
        Ok(Listener { boot: boot.clone(), place, backlog, local: SocketAddr::new(ip, port) })
    }

    /// The connection if somebody listens there, and both know of it; none if nobody answers at all.
    fn try_connect(&self, boot: &Arc<Boot>, to: SocketAddr) -> io::Result<Option<Connection>> {
        let core = boot.core();
        let own = boot.machine.id;
        let target = if to.ip().is_loopback() { Some(boot.machine.clone()) } else { machine_at(core, to.ip()) };
        let target = target.ok_or(io::ErrorKind::HostUnreachable)?;
        let Some(peer) = target.boot().filter(|peer| peer.can_act()) else { return Ok(None) };
        let mut state = lock(&self.state);
        if state.are_parted(own, target.id) {
            return Ok(None);
        }
        let found = state.listeners_at(target.id, to.port()).find(|(bound, _)| covers(*bound, to.ip()));
        let backlog = found.ok_or(io::ErrorKind::ConnectionRefused)?.1.clone();
        let from_ip = if to.ip().is_loopback() { to.ip() } else { boot.machine.ip() };
        let from = SocketAddr::new(from_ip, state.free_port(own));
        drop(state);
        if lock(&backlog.accepting).waiting.len() >= backlog.connections_max {
            return Ok(None); // Linux drops the attempt; whoever connects tries again.
        }
        let settings = &core.settings;
        let capacity = || lock(&self.chance).in_range(settings.socket_bytes.clone()) as usize;
        let link = Link::new(core.next_number(), [(boot, from), (&peer, to)], [capacity(), capacity()]);
        let mut state = lock(&self.state);
        if state.links.len() == state.links.capacity() {
            state.links.retain(|link| link.strong_count() > 0);
        }
        state.links.push(Arc::downgrade(&link));
        drop(state);
        let [ours, theirs] = Link::halves(link);
        backlog.push(theirs);
        Ok(Some(ours))
    }
}

impl State {
    fn are_parted(&self, one: usize, other: usize) -> bool {
        !self.parted.is_empty() && self.parted.contains(&(one.min(other), one.max(other)))
    }

    fn listeners_at(&self, machine: usize, port: u16) -> impl Iterator<Item = (IpAddr, &Arc<Backlog>)> {
        let first = (machine, port, IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let last = (machine, port, IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)));
        self.listeners.range(first..=last).map(|((_, _, bound), backlog)| (*bound, backlog))
    }

    fn free_port(&mut self, machine: usize) -> u16 {
        loop {
            let port = self.next_port;
            self.next_port = if port + 1 < EPHEMERAL_PORTS.end { port + 1 } else { EPHEMERAL_PORTS.start };
            if self.listeners_at(machine, port).next().is_none() {
                return port;
            }
        }
    }
}

/// Whether a listener bound to `bound` takes what comes for `ip`. `[::]` takes IPv4 too, as everywhere in `env`.
fn covers(bound: IpAddr, ip: IpAddr) -> bool {
    bound == ip || bound.is_unspecified() && (bound.is_ipv6() || ip.is_ipv4())
}

fn machine_at(core: &Core, ip: IpAddr) -> Option<Arc<MachineCore>> {
    lock(&core.machines).iter().find(|machine| machine.ip() == ip).cloned()
}

impl Backlog {
    fn push(&self, connection: Connection) {
        let mut accepting = lock(&self.accepting);
        accepting.waiting.push_back(connection);
        let waker = accepting.waker.take();
        drop(accepting);
        waker.into_iter().for_each(Waker::wake);
    }

    fn empty(&self) {
        let Accepting { waiting, waker } = std::mem::take(&mut *lock(&self.accepting));
        drop((waiting, waker));
    }
}

impl crate::Net for Net {
    fn listen(&self, address: SocketAddr, wanted: Listening) -> io::Result<Box<dyn crate::Listener>> {
        if !self.boot.can_act() {
            return Err(io::ErrorKind::NetworkDown.into());
        }
        Ok(Box::new(self.boot.core().network.listen(&self.boot, address, wanted.backlog)?))
    }

    fn connect(&self, to: SocketAddr) -> BoxFuture<io::Result<Connection>> {
        let boot = self.boot.clone();
        Box::pin(async move {
            let core = boot.core().clone();
            let give_up = core.now() + CONNECT_TIMEOUT_NS;
            while core.now() < give_up {
                Sleep::until(&core, Some(core.network.arrival(&core))).await;
                if !boot.can_act() {
                    return Err(io::ErrorKind::NetworkDown.into());
                }
                let tried = core.network.try_connect(&boot, to);
                if !matches!(tried, Ok(None)) {
                    Sleep::until(&core, Some(core.network.arrival(&core))).await;
                }
                match tried {
                    Ok(Some(connection)) => return Ok(connection),
                    Ok(None) => Sleep::until(&core, Some(core.now() + CONNECT_RETRY_NS)).await,
                    Err(error) => return Err(error),
                }
            }
            Err(io::ErrorKind::TimedOut.into())
        })
    }

    fn resolve(&self, host: &str, port: u16) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
        let ip = match host.parse() {
            Ok(ip) => Some(ip),
            Err(_) if host == "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
            Err(_) => {
                let machines = lock(&self.boot.core().machines);
                machines.iter().find(|machine| machine.name == host).map(|machine| machine.ip())
            }
        };
        let unknown = || io::Error::new(io::ErrorKind::NotFound, format!("no machine is called {host}"));
        let answer = ip.map(|ip| vec![SocketAddr::new(ip, port)]).ok_or_else(unknown);
        Box::pin(std::future::ready(answer))
    }
}

struct Listener {
    boot: Arc<Boot>,
    place: Place,
    backlog: Arc<Backlog>,
    local: SocketAddr,
}

impl crate::Listener for Listener {
    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Connection>> {
        let mut accepting = lock(&self.backlog.accepting);
        match accepting.waiting.pop_front() {
            Some(connection) => Poll::Ready(Ok(connection)),
            None => {
                let before = accepting.waker.replace(context.waker().clone());
                drop(accepting);
                drop(before);
                Poll::Pending
            }
        }
    }

    fn local_address(&self) -> SocketAddr {
        self.local
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let network = &self.boot.core().network;
        let mut state = lock(&network.state);
        // After a restart another process may listen in the same place.
        if state.listeners.get(&self.place).is_some_and(|backlog| Arc::ptr_eq(backlog, &self.backlog)) {
            state.listeners.remove(&self.place);
        }
        drop(state);
        self.backlog.empty();
    }
}

//! What a power loss may leave: the pending changes, and which sets of them can survive together.
//!
//! Written pages survive or not, each for itself, whole or torn at 512 bytes. A file's length is one number in one inode,
//! so a later length brings the earlier ones with it. Names are kept by a journaled file system: a name's later change
//! brings its earlier ones, a rename is whole, and beyond that names survive or not, each for itself.
use std::collections::{BTreeMap, BTreeSet};

use super::pages::Sectors;
use super::state::{Change, Pending};
use crate::sim::Chance;

/// A change that no sync has covered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Effect {
    /// The number of the operation that made it.
    pub operation: u64,
    pub path: String,
    pub kind: EffectKind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EffectKind {
    /// Page `index` of 4 KiB; the operation changed these sectors of 512 bytes, a bit for each.
    Page {
        index: u64,
        changed: Sectors,
    },
    Length(u64),
    /// A name made, removed or changed.
    Name,
}

/// What becomes of one effect in a power loss. Where fates contradict what a file system promises, more survives: the
/// earlier changes that a surviving one needs.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Fate {
    Lost,
    Survives,
    /// Only these sectors of a page reach the medium; a length or a name is whole and survives.
    Torn(Sectors),
}

impl Fate {
    pub(super) fn sectors(self) -> Sectors {
        match self {
            Fate::Lost => 0,
            Fate::Survives => Sectors::MAX,
            Fate::Torn(sectors) => sectors,
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tearing {
    /// A page reaches the medium whole.
    Never,
    At512,
}

impl From<&Pending> for Effect {
    fn from(pending: &Pending) -> Self {
        let kind = match &pending.change {
            Change::Page { index, changed, .. } => EffectKind::Page { index: *index, changed: *changed },
            Change::Length { len, .. } => EffectKind::Length(*len),
            Change::Names(_) => EffectKind::Name,
        };
        Self { operation: pending.operation, path: pending.path.to_string(), kind }
    }
}

/// The chosen changes, and the earlier ones that they cannot be without.
pub fn with_prerequisites(pending: &[Pending], chosen: impl Fn(usize) -> bool) -> Vec<bool> {
    let mut needed = vec![false; pending.len()];
    let mut names = BTreeSet::new();
    let mut lengths = BTreeSet::new();
    for index in (0..pending.len()).rev() {
        needed[index] = chosen(index);
        match &pending[index].change {
            Change::Page { .. } => {}
            Change::Length { inode, .. } => {
                needed[index] |= lengths.contains(inode);
                if needed[index] {
                    lengths.insert(*inode);
                }
            }
            Change::Names(changed) => {
                needed[index] |= changed.iter().any(|(dir, name, _)| names.contains(&(*dir, name.as_str())));
                if needed[index] {
                    names.extend(changed.iter().map(|(dir, name, _)| (*dir, name.as_str())));
                }
            }
        }
    }
    needed
}

/// Fates by chance, legal and of all kinds: of one power loss nearly everything survives, of another nearly nothing.
pub fn fates_by_chance(pending: &[Pending], tearing: Tearing, chance: &mut Chance) -> Vec<Fate> {
    const SURVIVAL: [f64; 6] = [0.0, 0.1, 0.5, 0.5, 0.9, 1.0];
    let [pages, lengths, names] = [(); 3].map(|()| *chance.pick(&SURVIVAL));
    let tears = if tearing == Tearing::At512 { 0.2 } else { 0.0 };
    let mut fate = |pending: &Pending| {
        let survival = match &pending.change {
            Change::Page { .. } => pages,
            Change::Length { .. } => lengths,
            Change::Names(_) => names,
        };
        match &pending.change {
            Change::Page { .. } if chance.happens(tears) => Fate::Torn(chance.next_u64() as Sectors),
            _ if chance.happens(survival) => Fate::Survives,
            _ => Fate::Lost,
        }
    };
    pending.iter().map(&mut fate).collect()
}

/// All sets of fates that leave different images, or `max` of them by chance if there are more. The first is that
/// everything is lost, the second that everything survives.
pub fn distinct_fates(pending: &[Pending], tearing: Tearing, max: usize, chance: &mut Chance) -> Vec<Vec<Fate>> {
    let groups = independent_groups(pending, tearing);
    let count = groups.iter().try_fold(1usize, |count, group| count.checked_mul(group.len()));
    let nothing = vec![Fate::Lost; pending.len()];
    if let Some(count) = count.filter(|count| *count <= max) {
        let nth = |mut number: usize| {
            let mut fates = nothing.clone();
            for group in &groups {
                for (index, fate) in &group[number % group.len()] {
                    fates[*index] = *fate;
                }
                number /= group.len();
            }
            fates
        };
        return (0..count).map(nth).collect();
    }
    let mut all = vec![nothing, vec![Fate::Survives; pending.len()]];
    while all.len() < max {
        all.push(fates_by_chance(pending, tearing, chance));
    }
    all.truncate(max);
    all
}

type Choice = Vec<(usize, Fate)>;

/// The changes in groups that do not touch each other, each with all its outcomes; the first of each is "lost".
fn independent_groups(pending: &[Pending], tearing: Tearing) -> Vec<Vec<Choice>> {
    let mut versions: BTreeMap<(u64, Option<u64>), Vec<Choice>> = BTreeMap::new();
    let mut names = Vec::new();
    for (index, pending) in pending.iter().enumerate() {
        let (key, torn) = match &pending.change {
            Change::Page { inode, index, changed, .. } if tearing == Tearing::At512 => {
                ((*inode, Some(*index)), tears(*changed))
            }
            Change::Page { inode, index, .. } => ((*inode, Some(*index)), Vec::new()),
            Change::Length { inode, .. } => ((*inode, None), Vec::new()),
            Change::Names(_) => {
                names.push(index);
                continue;
            }
        };
        // The newest version that survives is what counts.
        let choices = versions.entry(key).or_insert_with(|| vec![Vec::new()]);
        choices.push(vec![(index, Fate::Survives)]);
        choices.extend(torn.into_iter().map(|sectors| vec![(index, Fate::Torn(sectors))]));
    }
    let mut groups: Vec<Vec<Choice>> = versions.into_values().collect();
    groups.extend(connected_names(pending, &names).into_iter().map(|group| closed_sets(pending, &group)));
    groups
}

/// Some ways to tear a page of which these sectors changed: all if they are few, else the halves and each end.
fn tears(changed: Sectors) -> Vec<Sectors> {
    let proper = |sectors: &Sectors| *sectors != 0 && *sectors != changed && sectors & !changed == 0;
    if changed.count_ones() <= 3 {
        return (1..Sectors::MAX).filter(proper).collect();
    }
    let first = 1 << changed.trailing_zeros();
    let last = 1 << (Sectors::BITS - 1 - changed.leading_zeros());
    let candidates = [first, last, changed & 0x0f, changed & 0xf0, changed & !first, changed & !last];
    BTreeSet::from(candidates).into_iter().filter(proper).collect()
}

/// Changes of names that share a name, directly or through others.
fn connected_names(pending: &[Pending], names: &[usize]) -> Vec<Vec<usize>> {
    let keys = |index: usize| match &pending[index].change {
        Change::Names(changed) => changed.iter().map(|(dir, name, _)| (*dir, name.clone())).collect(),
        _ => BTreeSet::new(),
    };
    type Group = (BTreeSet<(u64, String)>, Vec<usize>);
    let mut groups: Vec<Group> = Vec::new();
    for &index in names {
        let mut joined = (keys(index), Vec::new());
        let (touched, apart): (Vec<_>, Vec<_>) = groups.into_iter().partition(|group| !group.0.is_disjoint(&joined.0));
        for group in touched {
            joined.0.extend(group.0);
            joined.1.extend(group.1);
        }
        joined.1.push(index);
        joined.1.sort_unstable();
        groups = apart;
        groups.push(joined);
    }
    groups.into_iter().map(|group| group.1).collect()
}

/// All sets of a group's changes that contain what their members need. Grown one change at a time, so that a long chain
/// costs its length and not its power set.
fn closed_sets(pending: &[Pending], group: &[usize]) -> Vec<Choice> {
    const SETS_MAX: usize = 4096;
    let mut sets: BTreeSet<Vec<usize>> = BTreeSet::from([Vec::new()]);
    for &added in group {
        let mut grown = BTreeSet::new();
        for set in &sets {
            let needed = with_prerequisites(&pending[..=added], |index| index == added || set.contains(&index));
            let closed: Vec<usize> = group.iter().copied().filter(|index| *index <= added && needed[*index]).collect();
            grown.insert(closed);
        }
        sets.extend(grown);
        if sets.len() >= SETS_MAX {
            break;
        }
    }
    let choice = |set: Vec<usize>| set.into_iter().map(|index| (index, Fate::Survives)).collect();
    sets.into_iter().map(choice).collect()
}

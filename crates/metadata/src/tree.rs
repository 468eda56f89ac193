//! An ordered map whose clones share what they do not change: a B+ tree of reference-counted nodes. A clone costs one
//! counter, an insertion copies one path of small nodes, or nothing if nobody else holds them. So an image of a million
//! partitions is published after every record without a pass over it.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// Entries of a node. Small, since a shared node is copied whole.
const ENTRIES_MAX: usize = 32;
/// Below this, a node is joined with a neighbour if both fit into one.
const ENTRIES_LOW: usize = ENTRIES_MAX / 4;

pub struct Tree<K, V> {
    root: Arc<Node<K, V>>,
    len: usize,
}

#[derive(Clone)]
enum Node<K, V> {
    Leaf(Vec<(K, V)>),
    /// Each child with its smallest key, or a smaller one that is greater than all before it.
    Inner(Vec<Child<K, V>>),
}

type Child<K, V> = (K, Arc<Node<K, V>>);

impl<K, V> Clone for Tree<K, V> {
    fn clone(&self) -> Self {
        Self { root: self.root.clone(), len: self.len }
    }
}

impl<K, V> Default for Tree<K, V> {
    fn default() -> Self {
        Self { root: Arc::new(Node::Leaf(Vec::new())), len: 0 }
    }
}

impl<K, V> Tree<K, V> {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All entries by key.
    pub fn iter(&self) -> Iter<'_, K, V> {
        let mut iter = Iter { path: Vec::new(), leaf: [].iter() };
        iter.descend(&self.root);
        iter
    }
}

impl<K: Ord + Clone, V: Clone> Tree<K, V> {
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let mut node = &*self.root;
        loop {
            match node {
                Node::Inner(children) => node = &children[child_of(children, key)].1,
                Node::Leaf(entries) => {
                    let at = entries.binary_search_by(|(other, _)| other.borrow().cmp(key)).ok()?;
                    return Some(&entries[at].1);
                }
            }
        }
    }

    /// Copies what others share of the way to the entry.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.get(key)?; // Else a miss would copy a path for nothing.
        let mut node = Arc::make_mut(&mut self.root);
        loop {
            match node {
                Node::Inner(children) => {
                    let at = child_of(children, key);
                    node = Arc::make_mut(&mut children[at].1);
                }
                Node::Leaf(entries) => {
                    let at = entries.binary_search_by(|(other, _)| other.borrow().cmp(key)).ok()?;
                    return Some(&mut entries[at].1);
                }
            }
        }
    }

    /// Returns what the key had before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let (before, split) = Arc::make_mut(&mut self.root).insert(key, value);
        if let Some((key, right)) = split {
            let left = std::mem::replace(&mut self.root, Arc::new(Node::Leaf(Vec::new())));
            let least = left.first_key().expect("a node that was split has entries").clone();
            self.root = Arc::new(Node::Inner(vec![(least, left), (key, right)]));
        }
        self.len += usize::from(before.is_none());
        before
    }

    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.get(key)?;
        let removed = Arc::make_mut(&mut self.root).remove(key);
        self.len -= 1;
        while let Node::Inner(children) = &*self.root
            && children.len() == 1
        {
            self.root = children[0].1.clone();
        }
        removed
    }

    /// Gives every entry for which `change` has an answer that value, in one pass.
    pub fn update_all(&mut self, mut change: impl FnMut(&K, &V) -> Option<V>) {
        update_node(&mut self.root, &mut change);
    }

    /// The entries at and after `from`.
    pub fn range_from<Q: Ord + ?Sized>(&self, from: &Q) -> Iter<'_, K, V>
    where
        K: Borrow<Q>,
    {
        let mut iter = Iter { path: Vec::new(), leaf: [].iter() };
        let mut node = &*self.root;
        loop {
            match node {
                Node::Inner(children) => {
                    let at = child_of(children, from);
                    iter.path.push(children[at + 1..].iter());
                    node = &children[at].1;
                }
                Node::Leaf(entries) => {
                    let at = entries.partition_point(|(key, _)| key.borrow() < from);
                    iter.leaf = entries[at..].iter();
                    return iter;
                }
            }
        }
    }
}

/// The child that holds the key, if any does.
fn child_of<K: Borrow<Q>, Q: Ord + ?Sized, C>(children: &[(K, C)], key: &Q) -> usize {
    children.partition_point(|(least, _)| least.borrow() <= key).saturating_sub(1)
}

impl<K: Ord + Clone, V: Clone> Node<K, V> {
    fn len(&self) -> usize {
        match self {
            Node::Inner(children) => children.len(),
            Node::Leaf(entries) => entries.len(),
        }
    }

    fn first_key(&self) -> Option<&K> {
        match self {
            Node::Inner(children) => children.first().map(|(key, _)| key),
            Node::Leaf(entries) => entries.first().map(|(key, _)| key),
        }
    }

    /// Returns what the key had before, and a new right neighbour if this node became too large.
    fn insert(&mut self, key: K, value: V) -> (Option<V>, Option<Child<K, V>>) {
        match self {
            Node::Leaf(entries) => match entries.binary_search_by(|(other, _)| other.cmp(&key)) {
                Ok(at) => (Some(std::mem::replace(&mut entries[at].1, value)), None),
                Err(at) => {
                    entries.insert(at, (key, value));
                    let right = split(entries, at);
                    (None, right.map(|right| (right[0].0.clone(), Arc::new(Node::Leaf(right)))))
                }
            },
            Node::Inner(children) => {
                let at = child_of(children, &key);
                if key < children[at].0 {
                    children[at].0 = key.clone();
                }
                let (before, split_child) = Arc::make_mut(&mut children[at].1).insert(key, value);
                let Some(new) = split_child else { return (before, None) };
                children.insert(at + 1, new);
                let right = split(children, at + 1);
                (before, right.map(|right| (right[0].0.clone(), Arc::new(Node::Inner(right)))))
            }
        }
    }

    fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        match self {
            Node::Leaf(entries) => {
                let at = entries.binary_search_by(|(other, _)| other.borrow().cmp(key)).ok()?;
                Some(entries.remove(at).1)
            }
            Node::Inner(children) => {
                let at = child_of(children, key);
                let removed = Arc::make_mut(&mut children[at].1).remove(key);
                match children[at].1.len() {
                    0 if children.len() > 1 => drop(children.remove(at)),
                    len if len < ENTRIES_LOW && children.len() > 1 => join(children, at.min(children.len() - 2)),
                    _ => {}
                }
                removed
            }
        }
    }
}

/// A leaf in which nothing changes stays shared.
fn update_node<K: Clone, V: Clone>(node: &mut Arc<Node<K, V>>, change: &mut impl FnMut(&K, &V) -> Option<V>) {
    if let Node::Leaf(entries) = &**node {
        let changed = entries.iter().enumerate().filter_map(|(at, (key, value))| Some((at, change(key, value)?)));
        let changed: Vec<(usize, V)> = changed.collect();
        if !changed.is_empty()
            && let Node::Leaf(entries) = Arc::make_mut(node)
        {
            changed.into_iter().for_each(|(at, value)| entries[at].1 = value);
        }
    } else if let Node::Inner(children) = Arc::make_mut(node) {
        children.iter_mut().for_each(|(_, child)| update_node(child, change));
    }
}

/// Cuts a node that is too large, after an insertion `at`. Keys that come in order leave full nodes behind.
fn split<T>(entries: &mut Vec<T>, at: usize) -> Option<Vec<T>> {
    if entries.len() <= ENTRIES_MAX {
        return None;
    }
    let is_append = at + 1 == entries.len();
    Some(entries.split_off(if is_append { entries.len() - 1 } else { entries.len() / 2 }))
}

/// Joins a child with the one after it, if one node can hold both.
fn join<K: Clone, V: Clone>(children: &mut Vec<Child<K, V>>, left: usize) {
    let sizes = |node: &Node<K, V>| match node {
        Node::Inner(children) => children.len(),
        Node::Leaf(entries) => entries.len(),
    };
    if sizes(&children[left].1) + sizes(&children[left + 1].1) > ENTRIES_MAX {
        return;
    }
    let (_, right) = children.remove(left + 1);
    match (Arc::make_mut(&mut children[left].1), Arc::unwrap_or_clone(right)) {
        (Node::Inner(left), Node::Inner(right)) => left.extend(right),
        (Node::Leaf(left), Node::Leaf(right)) => left.extend(right),
        _ => unreachable!("all leaves are at one depth"),
    }
}

pub struct Iter<'a, K, V> {
    /// What is still to be visited of each inner node on the way.
    path: Vec<std::slice::Iter<'a, Child<K, V>>>,
    leaf: std::slice::Iter<'a, (K, V)>,
}

impl<'a, K, V> Iter<'a, K, V> {
    /// To the first leaf below.
    fn descend(&mut self, node: &'a Node<K, V>) {
        let mut node = node;
        loop {
            match node {
                Node::Leaf(entries) => {
                    self.leaf = entries.iter();
                    return;
                }
                Node::Inner(children) => {
                    let mut children = children.iter();
                    let Some((_, first)) = children.next() else { return };
                    self.path.push(children);
                    node = first;
                }
            }
        }
    }
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((key, value)) = self.leaf.next() {
                return Some((key, value));
            }
            match self.path.last_mut()?.next() {
                Some((_, child)) => self.descend(child),
                None => drop(self.path.pop()),
            }
        }
    }
}

impl<'a, K, V> IntoIterator for &'a Tree<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Iter<'a, K, V> {
        self.iter()
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Tree<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for Tree<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    impl<K: Ord + Clone, V: Clone> Tree<K, V> {
        /// Depth of all leaves; asserts the shape.
        fn check(&self) {
            fn walk<K: Ord + Clone, V: Clone>(node: &Node<K, V>, least: Option<&K>) -> usize {
                match node {
                    Node::Leaf(entries) => {
                        assert!(entries.is_sorted_by(|left, right| left.0 < right.0) && entries.len() <= ENTRIES_MAX);
                        assert!(least.is_none_or(|least| entries.first().is_none_or(|(first, _)| least <= first)));
                        0
                    }
                    Node::Inner(children) => {
                        assert!(!children.is_empty() && children.len() <= ENTRIES_MAX);
                        assert!(children.is_sorted_by(|left, right| left.0 < right.0));
                        let depths: Vec<usize> = children.iter().map(|(key, child)| walk(child, Some(key))).collect();
                        assert!(depths.windows(2).all(|pair| pair[0] == pair[1]), "leaves at one depth");
                        depths[0] + 1
                    }
                }
            }
            walk(&self.root, None);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_tree_is_an_ordered_map_and_its_clones_keep_what_they_held(
            steps in proptest::collection::vec((0u8..11, 0u16..400, any::<u8>()), 1..1500),
        ) {
            let (mut tree, mut map) = (Tree::default(), BTreeMap::new());
            let mut kept = Vec::new();
            for (action, key, value) in steps {
                match action {
                    0..=5 => prop_assert_eq!(tree.insert(key, value), map.insert(key, value)),
                    6..=8 => prop_assert_eq!(tree.remove(&key), map.remove(&key)),
                    9 => {
                        let change = |key: &u16| (key % 97 == u16::from(value) % 97).then_some(value);
                        tree.update_all(|key, _| change(key));
                        map.iter_mut().for_each(|(key, value)| *value = change(key).unwrap_or(*value));
                    }
                    _ => {
                        if let Some(found) = tree.get_mut(&key) {
                            *found = value;
                            map.insert(key, value);
                        }
                        kept.push((tree.clone(), map.clone()));
                    }
                }
                prop_assert_eq!(tree.len(), map.len());
                prop_assert_eq!(tree.get(&key), map.get(&key));
            }
            tree.check();
            kept.push((tree, map));
            for (tree, map) in &kept {
                prop_assert!(tree.iter().eq(map.iter()));
            }
            let (tree, map) = kept.last().expect("the last one was just added");
            for from in (0..420).step_by(7) {
                prop_assert!(tree.range_from(&from).eq(map.range(from..)));
            }
        }
    }

    /// Nodes of `node` that are not those of `other`.
    fn own_nodes<K, V>(node: &Arc<Node<K, V>>, other: &[*const Node<K, V>]) -> usize {
        if other.contains(&Arc::as_ptr(node)) {
            return 0; // Nor are those below.
        }
        let children = match &**node {
            Node::Inner(children) => children.as_slice(),
            Node::Leaf(_) => &[],
        };
        1 + children.iter().map(|(_, child)| own_nodes(child, other)).sum::<usize>()
    }

    fn all_nodes<K, V>(node: &Arc<Node<K, V>>, found: &mut Vec<*const Node<K, V>>) {
        found.push(Arc::as_ptr(node));
        if let Node::Inner(children) = &**node {
            children.iter().for_each(|(_, child)| all_nodes(child, found));
        }
    }

    #[test]
    fn a_change_copies_one_path_however_large_the_tree_is() {
        let mut tree = Tree::default();
        for key in 0..100_000 {
            tree.insert(key, 0);
        }
        let before = tree.clone();
        let mut nodes = Vec::new();
        all_nodes(&before.root, &mut nodes);
        assert!(nodes.len() > 3000);
        tree.insert(54_321, 1);
        assert!((2..=4).contains(&own_nodes(&tree.root, &nodes)), "the path to a leaf, and no more");
        tree.remove(&77_777);
        assert!(own_nodes(&tree.root, &nodes) <= 8);
        assert_eq!((before.get(&54_321), before.get(&77_777)), (Some(&0), Some(&0)));
    }

    #[test]
    fn keys_in_order_fill_their_nodes() {
        let mut tree = Tree::default();
        for key in 0..10_000 {
            tree.insert(key, ());
        }
        tree.check();
        let Node::Inner(children) = &*tree.root else { panic!("10,000 entries need more than a leaf") };
        assert!(children.len() <= 10, "{} children", children.len());
        (0..10_000).for_each(|key| assert!(tree.remove(&key).is_some()));
        assert!(tree.is_empty() && tree.iter().next().is_none());
    }
}

//! What some entries of the metadata log have changed: for those who must act on it without comparing two images.

use std::collections::BTreeSet;
use std::sync::Arc;

use quorum::LogId;
use record::{BrokerId, TopicId};

use crate::{Image, Resource, Topic};

#[derive(Clone, Debug, Default)]
pub struct Delta {
    pub topics_created: Vec<TopicId>,
    /// As they last were, also those that this delta created.
    pub topics_deleted: Vec<Arc<Topic>>,
    /// New or changed ones; only of topics that still exist.
    pub partitions: BTreeSet<(TopicId, i32)>,
    pub configs: BTreeSet<Resource>,
    pub brokers: BTreeSet<BrokerId>,
    pub features: bool,
}

impl Delta {
    pub fn is_empty(&self) -> bool {
        let Delta { topics_created, topics_deleted, partitions, configs, brokers, features } = self;
        topics_created.is_empty()
            && topics_deleted.is_empty()
            && partitions.is_empty()
            && configs.is_empty()
            && brokers.is_empty()
            && !features
    }

    /// Everything there is, for a first look at an image.
    pub fn of_all(image: &Image) -> Delta {
        let topics = image.topics.iter();
        Delta {
            topics_created: topics.map(|topic| topic.id).collect(),
            topics_deleted: Vec::new(),
            partitions: image
                .topics
                .iter()
                .flat_map(|topic| topic.partitions.iter().map(|(index, _)| (topic.id, index)))
                .collect(),
            configs: image.configs.iter().map(|(resource, _)| resource.clone()).collect(),
            brokers: image.brokers.iter().map(|broker| broker.id).collect(),
            features: true,
        }
    }
}

/// A new image and what is new in it.
#[derive(Clone, Debug)]
pub struct Update {
    pub image: Arc<Image>,
    pub delta: Delta,
    pub position: LogId,
}

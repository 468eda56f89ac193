//! An image as records, in pieces that are made one at a time: a snapshot costs no second copy of the image.

use bytes::Bytes;

use crate::{Image, QuotaEntity, Record, Records, Resource, ScramKey, ScramMechanism};

/// A piece is closed when it has this much.
const PIECE_BYTES: usize = 256 * 1024;
/// None is before it.
const FIRST_CREDENTIAL: ScramKey = (String::new(), ScramMechanism::Sha256);

/// The records that make this image out of an empty one.
pub fn pieces(image: Image) -> impl Iterator<Item = Bytes> + Send {
    let mut next = Some(Place::Cluster);
    std::iter::from_fn(move || {
        let mut piece = Records::default();
        while let Some(place) = next.take() {
            next = place.write(&image, &mut piece);
            if piece.size_bytes() >= PIECE_BYTES {
                break;
            }
        }
        (!piece.is_empty()).then(|| piece.finish())
    })
}

/// Where the next record is taken from.
enum Place {
    Cluster,
    /// Topics that are no more, from this one on.
    Removed(u64),
    /// The topic at or after this name, and of it the partitions from this index on.
    Topic(String, i32),
    Config(Resource),
    Quota(QuotaEntity),
    Scram(ScramKey),
}

impl Place {
    /// Writes some records and says where the next ones are.
    fn write(self, image: &Image, piece: &mut Records) -> Option<Place> {
        match self {
            Place::Cluster => {
                piece.push(&Record::NextBrokerEpoch(image.next_broker_epoch));
                piece.push(&Record::NextProducerId(image.next_producer_id));
                for (name, level) in image.features.iter() {
                    piece.push(&Record::Feature { name: name.to_owned(), level });
                }
                for broker in image.brokers.iter() {
                    piece.push(&Record::Broker((**broker).clone()));
                }
                Some(Place::Removed(0))
            }
            Place::Removed(from) => {
                for (age, id) in image.removed.iter_from(from) {
                    piece.push(&Record::TopicRemoved(id));
                    if piece.size_bytes() >= PIECE_BYTES {
                        return Some(Place::Removed(age + 1));
                    }
                }
                Some(Place::Topic(String::new(), 0))
            }
            Place::Topic(name, from) => {
                let mut topics = image.topics.iter_from(&name);
                let Some(topic) = topics.next() else { return Some(Place::Config(Resource::LEAST)) };
                if from == 0 {
                    piece.push(&Record::Topic { id: topic.id, name: topic.name.clone() });
                }
                for (index, partition) in topic.partitions.iter_from(from) {
                    let partition = (**partition).clone();
                    piece.push(&Record::Partition { topic: topic.id, index, partition });
                    if piece.size_bytes() >= PIECE_BYTES {
                        return Some(Place::Topic(topic.name.to_string(), index + 1));
                    }
                }
                Some(match topics.next() {
                    Some(next) => Place::Topic(next.name.to_string(), 0),
                    None => Place::Config(Resource::LEAST),
                })
            }
            Place::Config(from) => {
                let mut all = image.configs.iter_from(&from);
                let Some((resource, overrides)) = all.next() else { return Some(Place::Quota(QuotaEntity::default())) };
                for (name, value) in overrides.iter() {
                    let (resource, name, value) = (resource.clone(), name.to_owned(), Some(value.to_owned()));
                    piece.push(&Record::Config { resource, name, value });
                }
                Some(match all.next() {
                    Some((resource, _)) => Place::Config(resource.clone()),
                    None => Place::Quota(QuotaEntity::default()),
                })
            }
            Place::Quota(from) => {
                let mut all = image.quotas.iter_from(&from);
                let Some((entity, limits)) = all.next() else { return Some(Place::Scram(FIRST_CREDENTIAL)) };
                for (key, limit) in limits {
                    let (entity, key, limit) = (entity.clone(), key.clone(), Some(*limit));
                    piece.push(&Record::ClientQuota { entity, key, limit });
                }
                Some(match all.next() {
                    Some((entity, _)) => Place::Quota(entity.clone()),
                    None => Place::Scram(FIRST_CREDENTIAL),
                })
            }
            Place::Scram(from) => {
                let mut all = image.scram.iter_from(&from);
                let (key, credential) = all.next()?;
                piece.push(&Record::ScramCredential { key: key.clone(), credential: Some(credential.clone()) });
                all.next().map(|(key, _)| Place::Scram(key.clone()))
            }
        }
    }
}

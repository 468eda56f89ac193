//! Fields to bytes and back. Reading trusts no length.

use bytes::Bytes;
use protocol::Uuid;
use record::{BrokerId, LeaderEpoch, ProducerId, TopicId};

use super::{DecodeError, Record};
use crate::{
    Broker, Directories, Endpoint, Limit, Part, Partition, QuotaEntity, Replicas, Resource, ScramCredential,
    ScramMechanism,
};

/// Never given to another record.
mod kind {
    pub const TOPIC: u16 = 1;
    pub const PARTITION: u16 = 2;
    pub const TOPIC_REMOVED: u16 = 3;
    pub const CONFIG: u16 = 4;
    pub const BROKER: u16 = 5;
    pub const BROKER_FENCED: u16 = 6;
    pub const BROKER_REMOVED: u16 = 7;
    pub const LEADERSHIP_RENEWED: u16 = 8;
    pub const FEATURE: u16 = 9;
    pub const NEXT_PRODUCER_ID: u16 = 10;
    pub const NEXT_BROKER_EPOCH: u16 = 11;
    pub const CLIENT_QUOTA: u16 = 12;
    pub const SCRAM_CREDENTIAL: u16 = 13;
    pub const BROKER_DIRECTORIES: u16 = 14;
}

/// Of every kind so far.
const VERSION: u16 = 0;
const HEADER_BYTES: usize = 8;

pub fn write(record: &Record, writer: &mut Writer) {
    let start = writer.bytes.len();
    writer.u16(kind_of(record));
    writer.u16(VERSION);
    writer.u32(0);
    fields(record, writer);
    let length = (writer.bytes.len() - start - HEADER_BYTES) as u32;
    writer.bytes[start + 4..start + HEADER_BYTES].copy_from_slice(&length.to_be_bytes());
}

fn kind_of(record: &Record) -> u16 {
    match record {
        Record::Broker(_) => kind::BROKER,
        Record::BrokerDirectories { .. } => kind::BROKER_DIRECTORIES,
        Record::BrokerFenced { .. } => kind::BROKER_FENCED,
        Record::BrokerRemoved(_) => kind::BROKER_REMOVED,
        Record::ClientQuota { .. } => kind::CLIENT_QUOTA,
        Record::Config { .. } => kind::CONFIG,
        Record::Feature { .. } => kind::FEATURE,
        Record::LeadershipRenewed(_) => kind::LEADERSHIP_RENEWED,
        Record::NextBrokerEpoch(_) => kind::NEXT_BROKER_EPOCH,
        Record::NextProducerId(_) => kind::NEXT_PRODUCER_ID,
        Record::Partition { .. } => kind::PARTITION,
        Record::ScramCredential { .. } => kind::SCRAM_CREDENTIAL,
        Record::Topic { .. } => kind::TOPIC,
        Record::TopicRemoved(_) => kind::TOPIC_REMOVED,
    }
}

fn fields(record: &Record, writer: &mut Writer) {
    match record {
        Record::Broker(broker) => {
            writer.i32(broker.id.value());
            writer.i64(broker.epoch);
            writer.uuid(&broker.incarnation);
            writer.array(&broker.endpoints, |writer, endpoint| {
                writer.string(&endpoint.listener);
                writer.string(&endpoint.host);
                writer.u16(endpoint.port);
                writer.u16(endpoint.security_protocol as u16);
            });
            writer.optional(broker.rack.as_deref());
            writer.array(&broker.directories, Writer::uuid);
            writer.bool(broker.fenced);
        }
        Record::BrokerDirectories { broker, epoch, directories } => {
            writer.i32(broker.value());
            writer.i64(*epoch);
            writer.array(directories, Writer::uuid);
        }
        Record::BrokerFenced { broker, epoch, fenced } => {
            writer.i32(broker.value());
            writer.i64(*epoch);
            writer.bool(*fenced);
        }
        Record::BrokerRemoved(broker) | Record::LeadershipRenewed(broker) => writer.i32(broker.value()),
        Record::ClientQuota { entity, key, limit } => {
            let parts: Vec<(&str, Option<&str>)> = entity.parts().collect();
            writer.array(&parts, |writer, (kind, name)| {
                writer.string(kind);
                writer.optional(*name);
            });
            writer.string(key);
            writer.bool(limit.is_some());
            if let Some(limit) = limit {
                writer.i64(limit.value().to_bits() as i64);
            }
        }
        Record::Config { resource, name, value } => {
            writer.u8(resource.type_code() as u8);
            writer.string(&resource.name());
            writer.string(name);
            writer.optional(value.as_deref());
        }
        Record::Feature { name, level } => {
            writer.string(name);
            writer.u16(*level as u16);
        }
        Record::NextBrokerEpoch(epoch) => writer.i64(*epoch),
        Record::NextProducerId(id) => writer.i64(id.value()),
        Record::Partition { topic, index, partition } => {
            writer.bytes.extend(topic.0);
            writer.i32(*index);
            writer.i32(partition.leader.unwrap_or(BrokerId::NONE).value());
            writer.i32(partition.leader_epoch.value());
            writer.i32(partition.partition_epoch);
            writer.array(&partition.replicas, |writer, id| writer.i32(id.value()));
            writer.array(&partition.isr, |writer, id| writer.i32(id.value()));
            writer.array(&partition.directories, Writer::uuid);
        }
        Record::ScramCredential { key: (user, mechanism), credential } => {
            writer.string(user);
            writer.u8(mechanism.code() as u8);
            writer.bool(credential.is_some());
            if let Some(credential) = credential {
                writer.blob(&credential.salt);
                writer.blob(&credential.stored_key);
                writer.blob(&credential.server_key);
                writer.i32(credential.iterations);
            }
        }
        Record::Topic { id, name } => {
            writer.bytes.extend(id.0);
            writer.string(name);
        }
        Record::TopicRemoved(id) => writer.bytes.extend(id.0),
    }
}

pub fn read(reader: &mut Reader<'_>) -> Result<Record, DecodeError> {
    let (kind, version, length) = (reader.u16()?, reader.u16()?, reader.u32()?);
    let mut reader = Reader::new(reader.take(length as usize)?);
    if version > VERSION {
        return Err(DecodeError::Newer { kind, version });
    }
    let record = read_fields(kind, &mut reader)?.ok_or(DecodeError::Newer { kind, version })?;
    match reader.is_empty() {
        true => Ok(record),
        false => Err(DecodeError::Malformed("bytes behind the last field")),
    }
}

/// `None` for a kind that is not known.
fn read_fields(kind: u16, reader: &mut Reader<'_>) -> Result<Option<Record>, DecodeError> {
    Ok(Some(match kind {
        kind::BROKER => Record::Broker(Broker {
            id: BrokerId(reader.i32()?),
            epoch: reader.i64()?,
            incarnation: reader.uuid()?,
            endpoints: reader.array(|reader| {
                Ok(Endpoint {
                    listener: reader.string()?.into(),
                    host: reader.string()?.into(),
                    port: reader.u16()?,
                    security_protocol: reader.u16()? as i16,
                })
            })?,
            rack: reader.optional()?.map(str::to_owned),
            directories: reader.array(Reader::uuid)?,
            fenced: reader.bool()?,
        }),
        kind::BROKER_DIRECTORIES => Record::BrokerDirectories {
            broker: BrokerId(reader.i32()?),
            epoch: reader.i64()?,
            directories: reader.array(Reader::uuid)?,
        },
        kind::BROKER_FENCED => {
            Record::BrokerFenced { broker: BrokerId(reader.i32()?), epoch: reader.i64()?, fenced: reader.bool()? }
        }
        kind::BROKER_REMOVED => Record::BrokerRemoved(BrokerId(reader.i32()?)),
        kind::CLIENT_QUOTA => Record::ClientQuota {
            entity: quota_entity(reader)?,
            key: reader.string()?.into(),
            limit: match reader.bool()? {
                true => Some(
                    Limit::new(f64::from_bits(reader.i64()? as u64)).ok_or(DecodeError::Malformed("no such quota"))?,
                ),
                false => None,
            },
        },
        kind::CONFIG => {
            let (type_code, name) = (reader.u8()? as i8, reader.string()?);
            Record::Config {
                resource: Resource::of(type_code, name).ok_or(DecodeError::Malformed("no such config resource"))?,
                name: reader.string()?.into(),
                value: reader.optional()?.map(str::to_owned),
            }
        }
        kind::FEATURE => Record::Feature { name: reader.string()?.into(), level: reader.u16()? as i16 },
        kind::LEADERSHIP_RENEWED => Record::LeadershipRenewed(BrokerId(reader.i32()?)),
        kind::NEXT_BROKER_EPOCH => Record::NextBrokerEpoch(reader.i64()?),
        kind::NEXT_PRODUCER_ID => Record::NextProducerId(ProducerId(reader.i64()?)),
        kind::PARTITION => {
            let (topic, index) = (TopicId(reader.uuid()?.0), reader.i32()?);
            if index < 0 {
                return Err(DecodeError::Malformed("a partition below 0"));
            }
            Record::Partition { topic, index, partition: partition(reader)? }
        }
        kind::SCRAM_CREDENTIAL => Record::ScramCredential {
            key: (
                reader.string()?.into(),
                ScramMechanism::of(reader.u8()? as i8).ok_or(DecodeError::Malformed("no such SCRAM mechanism"))?,
            ),
            credential: match reader.bool()? {
                true => Some(ScramCredential {
                    salt: reader.blob()?,
                    stored_key: reader.blob()?,
                    server_key: reader.blob()?,
                    iterations: reader.i32()?,
                }),
                false => None,
            },
        },
        kind::TOPIC => Record::Topic { id: TopicId(reader.uuid()?.0), name: reader.string()?.into() },
        kind::TOPIC_REMOVED => Record::TopicRemoved(TopicId(reader.uuid()?.0)),
        _ => return Ok(None),
    }))
}

fn quota_entity(reader: &mut Reader<'_>) -> Result<QuotaEntity, DecodeError> {
    let mut entity = QuotaEntity::default();
    let parts = reader.array(|reader| Ok((reader.string()?, Part::from(reader.optional()?))))?;
    for (kind, part) in parts {
        *entity.part_mut(kind).ok_or(DecodeError::Malformed("no such kind of quota entity"))? = part;
    }
    Ok(entity)
}

fn partition(reader: &mut Reader<'_>) -> Result<Partition, DecodeError> {
    let leader = BrokerId(reader.i32()?);
    let (leader_epoch, partition_epoch) = (LeaderEpoch(reader.i32()?), reader.i32()?);
    let broker = |reader: &mut Reader<'_>| Ok(BrokerId(reader.i32()?));
    Ok(Partition {
        replicas: Replicas::from_vec(reader.array(broker)?),
        isr: Replicas::from_vec(reader.array(broker)?),
        directories: Directories::from_vec(reader.array(Reader::uuid)?),
        leader: (!leader.is_none()).then_some(leader),
        leader_epoch,
        partition_epoch,
    })
}

#[derive(Debug, Default)]
pub struct Writer {
    pub bytes: Vec<u8>,
}

impl Writer {
    fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    fn u16(&mut self, value: u16) {
        self.bytes.extend(value.to_be_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.bytes.extend(value.to_be_bytes());
    }

    fn i32(&mut self, value: i32) {
        self.bytes.extend(value.to_be_bytes());
    }

    fn i64(&mut self, value: i64) {
        self.bytes.extend(value.to_be_bytes());
    }

    fn bool(&mut self, value: bool) {
        self.bytes.push(u8::from(value));
    }

    fn uuid(&mut self, uuid: &Uuid) {
        self.bytes.extend(uuid.0);
    }

    fn string(&mut self, text: &str) {
        self.u32(text.len() as u32);
        self.bytes.extend(text.as_bytes());
    }

    fn blob(&mut self, bytes: &[u8]) {
        self.u32(bytes.len() as u32);
        self.bytes.extend(bytes);
    }

    fn optional(&mut self, text: Option<&str>) {
        self.bool(text.is_some());
        if let Some(text) = text {
            self.string(text);
        }
    }

    fn array<T>(&mut self, elements: &[T], write: impl Fn(&mut Writer, &T)) {
        self.u32(elements.len() as u32);
        elements.iter().for_each(|element| write(self, element));
    }
}

pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or(DecodeError::Malformed("it ends early"))?;
        self.bytes = rest;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        Ok(self.take(N)?.try_into().expect("N bytes were taken"))
    }

    fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.fixed::<1>()?[0])
    }

    fn u16(&mut self) -> Result<u16, DecodeError> {
        self.fixed().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, DecodeError> {
        self.fixed().map(u32::from_be_bytes)
    }

    fn i32(&mut self) -> Result<i32, DecodeError> {
        self.fixed().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Result<i64, DecodeError> {
        self.fixed().map(i64::from_be_bytes)
    }

    fn bool(&mut self) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Malformed("neither true nor false")),
        }
    }

    fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        self.fixed().map(Uuid)
    }

    fn string(&mut self) -> Result<&'a str, DecodeError> {
        let length = self.u32()? as usize;
        std::str::from_utf8(self.take(length)?).map_err(|_| DecodeError::Malformed("text that is not UTF-8"))
    }

    fn blob(&mut self) -> Result<Bytes, DecodeError> {
        let length = self.u32()? as usize;
        Ok(Bytes::copy_from_slice(self.take(length)?))
    }

    fn optional(&mut self) -> Result<Option<&'a str>, DecodeError> {
        match self.bool()? {
            true => self.string().map(Some),
            false => Ok(None),
        }
    }

    fn array<T>(&mut self, read: impl Fn(&mut Self) -> Result<T, DecodeError>) -> Result<Vec<T>, DecodeError> {
        let length = self.u32()? as usize;
        // Every element has at least two bytes: a lying length reserves no more than what is there.
        let mut elements = Vec::with_capacity(length.min(self.bytes.len() / 2));
        for _ in 0..length {
            elements.push(read(self)?);
        }
        Ok(elements)
    }
}

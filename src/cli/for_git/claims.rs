//! What a push says of content: that it must be in the store, and where a path names it.
//!
//! Apart because there may be a million such claims: they are sorted and kept on the disk, each piece of content once,
//! and a path is read again only where it is told.

use std::io::{self, BufRead, Read};
use std::rc::Rc;

use bstr::{BStr, BString};

use crate::cache::{Health, LocalCache};
use crate::cli::error::CliError;
use crate::cli::for_git::pre_push::NAMES;
use crate::fs::sorter::{Sorted, Sorter};
use crate::fs::spool::Spool;
use crate::git::new_blobs::packed;
use crate::git::objects::{BlobKind, Looker, ObjectId};
use crate::git::push::each_blob;
use crate::pointer::Form;
use crate::transfer::{Item, PACKED};

/// Where content is named.
#[derive(Clone)]
pub struct Named {
    /// Path in the commit.
    pub path: BString,
    /// The commit that brings it.
    pub commit: Rc<ObjectId>,
}

/// Names, each by the place where it is written.
#[derive(Default)]
pub struct Places(Spool);

impl Places {
    fn add(&mut self, path: &BStr, commit: &ObjectId) -> io::Result<u64> {
        let place = self.0.write_field(commit)?;
        self.0.write_field(path)?;
        Ok(place)
    }

    /// The name of this content.
    pub fn named(&mut self, claim: &Claim) -> Result<Named, CliError> {
        self.at(claim.place).map_err(list_failed)
    }

    fn at(&mut self, place: u64) -> io::Result<Named> {
        let (commit, next) = self.0.field_at(place)?;
        let (path, _) = self.0.field_at(next)?;
        Ok(Named { path: path.into(), commit: Rc::new(commit.into()) })
    }
}

/// A pointer with a wrong size.
pub struct Lie {
    /// Where it stands.
    pub named: Named,
    /// The size that it names.
    pub size: u64,
    /// What tells that it is wrong.
    pub proof: Proof,
}

/// See [`Lie`].
pub enum Proof {
    /// The content is here, with so many bytes.
    Content(u64),
    /// The pointer of another path has the same oid and this size. Either may be wrong.
    Pointer(Named, u64),
}

/// Content that must be in the store.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// What it is.
    pub item: Item,
    /// Whether it may be missing, because the user said so of each path that names it.
    pub exempt: bool,
    /// It is not here, with a size that nothing published names for it: a record of the content is none of that size.
    pub doubtful: bool,
    place: u64,
}

/// Content, whether it is exempt, its place.
const SETTLED: usize = PACKED + 1 + 8;
/// And the blob that names it; zeros, if that is a manifest.
const NAMING: usize = SETTLED + 32;

fn number(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes[..8].try_into().expect("8 bytes"))
}

fn list_failed(source: io::Error) -> CliError {
    crate::git::GitError::Local { action: "keep a list of what is pushed in a temporary file", source }.into()
}

/// Claims, as they are found.
#[derive(Default)]
pub struct Claiming {
    sorter: Sorter<NAMING>,
    places: Places,
}

impl Claiming {
    /// Content may have several names. The one that counts most is kept: the first that is not exempt.
    pub fn claim(
        &mut self,
        item: Item,
        path: &BStr,
        commit: &ObjectId,
        blob: Option<&BStr>,
        exempt: bool,
    ) -> Result<(), CliError> {
        let place = self.places.add(path, commit).map_err(list_failed)?;
        let mut record = [0; NAMING];
        record[..PACKED].copy_from_slice(&item.packed());
        record[PACKED] = exempt.into();
        record[PACKED + 1..SETTLED].copy_from_slice(&place.to_be_bytes());
        record[SETTLED..].copy_from_slice(&blob.map(packed).unwrap_or_default());
        self.sorter.add(record).map_err(list_failed)
    }

    /// That was all. `published`: commits that the other side has.
    pub fn settle(self, cache: &LocalCache, published: &[ObjectId]) -> Result<Settled, CliError> {
        let Claiming { sorter, places } = self;
        let mut settled = Settled { claims: Claims::default(), places, lie: None, damaged: Vec::new() };
        // The blobs that name what is not here.
        let mut asked = Spool::default();
        let mut sorted = sorter.sorted().map_err(list_failed)?;
        let mut records = sorted.read().map_err(list_failed)?;
        let mut before: Option<([u8; PACKED], Presence)> = None;
        while let Some(record) = records.read().map_err(list_failed)? {
            let known = before.as_ref().filter(|(key, _)| record.starts_with(key)).map(|(_, presence)| *presence);
            let presence = match known {
                Some(presence) => presence,
                None => {
                    let presence = settled.judge(&record, before.map(|(key, _)| Item::unpacked(&key)), cache)?;
                    settled.claims.add(&record, presence).map_err(list_failed)?;
                    presence
                }
            };
            let key: [u8; PACKED] = record[..PACKED].try_into().expect("a record begins with its key");
            before = Some((key, presence));
            if presence == Presence::Absent && !published.is_empty() && record[SETTLED..] != [0; 32] {
                asked.write(&record[SETTLED..]).map_err(list_failed)?;
            }
        }
        if asked.written() > 0 {
            settled.claims.published = Some(named_in(&mut asked, published)?);
        }
        Ok(settled)
    }
}

/// Whether this clone has content itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Presence {
    Here,
    Absent,
}

/// What came of the claims.
pub struct Settled {
    /// All of them.
    pub claims: Claims,
    /// Where they stand.
    pub places: Places,
    /// The first pointer with a size that is not the content's: nobody could check it out.
    pub lie: Option<Lie>,
    /// Paths whose cached content is damaged, and was set aside: the first ones.
    pub damaged: Vec<Named>,
}

impl Settled {
    /// The size can be judged where this clone has the content, or two pointers disagree.
    fn judge(&mut self, record: &[u8], before: Option<Item>, cache: &LocalCache) -> Result<Presence, CliError> {
        let Item { oid, size } = Item::unpacked(record);
        let Some(size) = size else { return Ok(Presence::Here) };
        let place = number(&record[PACKED + 1..]);
        let mut cached = cache.find(&oid, None).map(|cached| cached.size);
        if cached.is_some_and(|cached| cached != size) && matches!(cache.examine(&oid), Ok(Health::Damaged)) {
            // It proves nothing, also not of another pointer that named its length. The store may have the content.
            cache.set_aside(&oid)?;
            if self.damaged.len() < NAMES {
                self.damaged.push(self.places.at(place).map_err(list_failed)?);
            }
            cached = None;
        }
        let other = before.filter(|other| other.oid == oid).and_then(|other| other.size);
        if self.lie.is_none() {
            let proof = match (cached, other) {
                (Some(right), _) if right != size => Some(Proof::Content(right)),
                (None, Some(other)) => {
                    Some(Proof::Pointer(self.places.at(self.claims.last).map_err(list_failed)?, other))
                }
                _ => None,
            };
            if let Some(proof) = proof {
                self.lie = Some(Lie { named: self.places.at(place).map_err(list_failed)?, size, proof });
            }
        }
        Ok(if cached.is_some() { Presence::Here } else { Presence::Absent })
    }
}

/// Claims in the order of their oids, each piece of content once.
#[derive(Default)]
pub struct Claims {
    list: Spool,
    /// The place of the last one.
    last: u64,
    /// What the commits of the other side name among what is not here, if anything was asked for.
    published: Option<Sorted<PACKED>>,
}

impl Claims {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.written() == 0
    }

    /// Whether any of it may not be missing.
    pub fn are_wanted(&mut self) -> Result<bool, CliError> {
        let mut wanted = false;
        self.each(|claim| {
            wanted |= !claim.exempt;
            Ok(())
        })?;
        Ok(wanted)
    }

    fn add(&mut self, record: &[u8], presence: Presence) -> io::Result<()> {
        self.last = number(&record[PACKED + 1..]);
        self.list.write(&record[..SETTLED])?;
        self.list.write(&[u8::from(presence == Presence::Absent)]).map(drop)
    }

    /// Show each of them. Somebody who edits the size line of a pointer leaves the oid as it was, and so what is not
    /// here is doubtful; but a pointer that is published is no news, under whatever path.
    pub fn each(&mut self, mut see: impl FnMut(Claim) -> Result<(), CliError>) -> Result<(), CliError> {
        let mut list = self.list.read_from(0).map_err(list_failed)?;
        let mut published = self.published.as_mut().map(Sorted::read).transpose().map_err(list_failed)?;
        let mut next_published = || match &mut published {
            Some(published) => published.read(),
            None => Ok(None),
        };
        let mut beside = next_published().map_err(list_failed)?;
        let mut record = [0; SETTLED + 1];
        while !list.fill_buf().map_err(list_failed)?.is_empty() {
            list.read_exact(&mut record).map_err(list_failed)?;
            while beside.is_some_and(|beside| beside[..] < record[..PACKED]) {
                beside = next_published().map_err(list_failed)?;
            }
            let is_published = beside.is_some_and(|beside| beside[..] == record[..PACKED]);
            see(Claim {
                item: Item::unpacked(&record),
                exempt: record[PACKED] == 1,
                doubtful: record[SETTLED] == 1 && !is_published,
                place: number(&record[PACKED + 1..]),
            })?;
        }
        Ok(())
    }
}

/// Blobs that are looked for at once: their ids are held in memory.
const AT_ONCE: u64 = 100_000;

/// What those of `asked` say that stand in the commits `published`: then these very bytes are no news.
fn named_in(asked: &mut Spool, published: &[ObjectId]) -> Result<Sorted<PACKED>, CliError> {
    let mut found = Sorter::default();
    let count = asked.written() / 32;
    let mut looker = Looker::for_many(usize::try_from(count).unwrap_or(usize::MAX));
    let mut begin = 0;
    while begin < count {
        let some = (count - begin).min(AT_ONCE);
        let mut ids = vec![[0; 32]; some as usize];
        asked.read_exact_at(ids.as_flattened_mut(), begin * 32).map_err(list_failed)?;
        begin += some;
        ids.sort_unstable();
        ids.dedup();
        // Branches that were published have mostly the same files.
        let mut taken = vec![false; ids.len()];
        for commit in published {
            let mut there: Vec<ObjectId> = Vec::new();
            each_blob(commit, |_, _, id| {
                if let Ok(at) = ids.binary_search(&packed(id))
                    && !std::mem::replace(&mut taken[at], true)
                {
                    there.push(id.to_owned());
                }
                Ok(())
            })?;
            let there: Vec<&BStr> = there.iter().map(|id| id.as_ref()).collect();
            for kind in looker.kinds_of(Form::Ours, &there)? {
                if let BlobKind::Pointer(pointer) = kind {
                    found.add(Item::from(pointer).packed()).map_err(list_failed)?;
                }
            }
        }
    }
    looker.keep();
    found.sorted().map_err(list_failed)
}

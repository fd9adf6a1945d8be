//! What the words on the command line stand for: files, objects, everything under a prefix, what a glob matches,
//! standard input.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use crate::aws::{Aws, Listed};
use crate::error::{Error, Result};
use crate::object::ObjectRef;

/// What one command takes; more is a matter for `reprocess`, which keeps its place.
const OBJECTS_MAX: usize = 10_000;
/// Files and folders, or objects of a listing, that are looked at for a glob.
const SEEN_MAX: usize = 1_000_000;
/// What makes a name a glob.
const GLOB_SIGNS: [char; 4] = ['*', '?', '[', '{'];

/// An object, and what is known of it before it is opened.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) object: ObjectRef,
    /// Milliseconds since 1970, of what was listed.
    pub(super) last_modified_ms: Option<i64>,
}

/// All of them, in the order of the command line, each once; `is_own` tells reject objects of our own.
///
/// # Errors
/// `Config` for names that cannot be read, `Input` where nothing is matched, those of S3 for listings.
pub(super) async fn expand(
    words: &[String],
    aws: &Aws,
    is_own: &(dyn Fn(&ObjectRef) -> bool + Sync),
) -> Result<Vec<Source>> {
    let mut found: Vec<Source> = Vec::new();
    let mut seen = HashSet::new();
    for word in words {
        let is_stdin_again = word == "-" && words.iter().filter(|word| *word == "-").count() > 1;
        if is_stdin_again {
            return Err(Error::config("standard input is named twice").with_hint("it can be read once"));
        }
        let matched = Pattern::of(word)?;
        let these = match matched {
            Pattern::One(object) => vec![Source { object, last_modified_ms: None }],
            Pattern::Objects(glob) => glob.listed(aws, word).await?,
            Pattern::Files(glob) => glob.walked(word)?,
        };
        let count = these.len();
        let fresh: Vec<Source> = these
            .into_iter()
            .filter(|source| count == 1 || !is_own(&source.object))
            .filter(|source| seen.insert(source.object.clone()))
            .collect();
        found.extend(fresh);
        if found.len() > OBJECTS_MAX {
            return Err(Error::config(format!("`{word}`: more than {OBJECTS_MAX} objects")).with_hint(
                "narrow the glob, or load page by page: `holoload reprocess --missing --prefix s3://bucket/prefix/`",
            ));
        }
    }
    Ok(found)
}

/// One object, whatever its name looks like.
pub(super) fn one(word: &str) -> Result<ObjectRef> {
    if word == "-" {
        let name = format!("{:.3}-{}", jiff::Timestamp::now(), std::process::id()).replace(':', "");
        return Ok(ObjectRef::stdin(&name));
    }
    if word.starts_with("s3://") {
        if word.ends_with('/') {
            return Err(Error::config(format!("`{word}` is a prefix"))
                .with_hint("name one object: `s3://bucket/key`"));
        }
        return ObjectRef::parse_s3(word);
    }
    local(Path::new(word))
}

fn local(path: &Path) -> Result<ObjectRef> {
    let absolute = std::path::absolute(path)
        .map_err(|error| Error::config(format!("read the path `{}`", path.display())).with_source(error))?;
    Ok(ObjectRef::local(&absolute.to_string_lossy()))
}

enum Pattern {
    One(ObjectRef),
    Objects(ObjectGlob),
    Files(FileGlob),
}

impl Pattern {
    fn of(word: &str) -> Result<Self> {
        let has_signs = word.contains(GLOB_SIGNS);
        if let Some(address) = word.strip_prefix("s3://") {
            let is_prefix = word.ends_with('/') && address.len() > 1;
            return match address.split_once('/') {
                Some((bucket, key)) if !bucket.is_empty() && (is_prefix || has_signs) => {
                    Ok(Self::Objects(ObjectGlob::new(bucket, key)?))
                }
                _ => one(word).map(Self::One),
            };
        }
        let path = Path::new(word);
        let is_folder = word.ends_with('/') && path.is_dir();
        // A file that is there is meant, whatever its name looks like.
        if word == "-" || !is_folder && (!has_signs || path.exists()) {
            return one(word).map(Self::One);
        }
        FileGlob::new(word, is_folder).map(Self::Files)
    }
}

fn glob(text: &str) -> Result<GlobMatcher> {
    let glob = GlobBuilder::new(text).literal_separator(true).build();
    let glob = glob.map_err(|source| Error::config(format!("read the glob `{text}`")).with_source(source))?;
    Ok(glob.compile_matcher())
}

fn nothing(word: &str) -> Error {
    Error::input(format!("nothing matches `{word}`"))
        .with_hint("`*` stays within one folder, `**/` goes through all of them; hidden files are left out")
}

fn too_many(word: &str) -> Error {
    Error::config(format!("`{word}`: more than {SEEN_MAX} names to look through"))
        .with_hint("begin the glob with more of the name")
}

/// Hidden files, folder markers and the lists of errors beside reject objects are nobody's data.
fn is_data(name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or(name);
    !last.is_empty() && !last.starts_with('.') && !last.ends_with(".errors.jsonl")
}

struct ObjectGlob {
    bucket: String,
    /// What every key that matches begins with.
    prefix: String,
    /// None: everything under the prefix.
    glob: Option<(String, GlobMatcher)>,
}

impl ObjectGlob {
    fn new(bucket: &str, key: &str) -> Result<Self> {
        let bucket = bucket.to_owned();
        let Some(at) = key.find(GLOB_SIGNS) else {
            return Ok(Self { bucket, prefix: key.to_owned(), glob: None });
        };
        let text = if key.ends_with('/') { format!("{key}**") } else { key.to_owned() };
        let glob = Some((key.to_owned(), glob(&text)?));
        Ok(Self { bucket, prefix: key.get(..at).unwrap_or_default().to_owned(), glob })
    }

    fn takes(&self, listed: &Listed) -> bool {
        // A key may have such signs in it and mean them.
        is_data(&listed.key)
            && self.glob.as_ref().is_none_or(|(text, glob)| glob.is_match(&listed.key) || *text == listed.key)
    }

    async fn listed(&self, aws: &Aws, word: &str) -> Result<Vec<Source>> {
        let mut found = Vec::new();
        let mut next = None;
        let mut seen = 0;
        loop {
            let page = aws.list(&self.bucket, &self.prefix, next).await?;
            seen += page.objects.len();
            for listed in page.objects.into_iter().filter(|listed| self.takes(listed)) {
                let object = ObjectRef { bucket: self.bucket.clone(), key: listed.key };
                found.push(Source { object, last_modified_ms: listed.last_modified_ms });
            }
            next = page.next;
            if next.is_none() || found.len() > OBJECTS_MAX {
                break;
            }
            if seen > SEEN_MAX {
                return Err(too_many(word));
            }
        }
        if found.is_empty() { Err(nothing(word)) } else { Ok(found) }
    }
}

struct FileGlob {
    /// The folder that is walked.
    base: PathBuf,
    glob: GlobMatcher,
    /// Names below the base that may match: so many, or any.
    depth_max: usize,
    takes_hidden: bool,
}

impl FileGlob {
    fn new(word: &str, is_folder: bool) -> Result<Self> {
        let text = if is_folder { format!("{word}**/*") } else { word.to_owned() };
        let at = if is_folder { word.len() } else { text.find(GLOB_SIGNS).unwrap_or(text.len()) };
        let literal = text.get(..at).unwrap_or_default();
        let base = literal.rsplit_once('/').map_or("", |(base, _)| base);
        let below = text.get(base.len()..).unwrap_or_default();
        let is_absolute = literal.starts_with('/') && base.is_empty();
        let base = if is_absolute {
            "/"
        } else if base.is_empty() {
            "."
        } else {
            base
        };
        let depth_max = if below.contains("**") {
            usize::MAX
        } else {
            below.split('/').filter(|name| !name.is_empty()).count()
        };
        let takes_hidden = below.split('/').any(|name| name.starts_with('.'));
        let text = text.strip_prefix("./").unwrap_or(&text).to_owned();
        Ok(Self { base: PathBuf::from(base), glob: glob(&text)?, depth_max, takes_hidden })
    }

    fn walked(&self, word: &str) -> Result<Vec<Source>> {
        let mut files = Vec::new();
        let mut folders = vec![(self.base.clone(), 1)];
        let mut seen = 0_usize;
        while let Some((folder, depth)) = folders.pop() {
            // A folder that cannot be read has nothing to give; if it was the only one, that is said.
            let Ok(entries) = std::fs::read_dir(&folder) else { continue };
            for entry in entries.flatten() {
                seen += 1;
                if seen > SEEN_MAX {
                    return Err(too_many(word));
                }
                let path = entry.path();
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.starts_with('.') && !self.takes_hidden {
                    continue;
                }
                let Ok(kind) = entry.file_type() else { continue };
                // Links to folders are not followed: they may lead back.
                if kind.is_dir() {
                    if depth < self.depth_max {
                        folders.push((path, depth + 1));
                    }
                } else if self.takes(&path, &name) && path.is_file() {
                    files.push(path);
                }
            }
        }
        files.sort();
        if files.is_empty() {
            return Err(nothing(word));
        }
        let source = |path: &PathBuf| {
            let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
            let since = modified.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
            let last_modified_ms = since.and_then(|since| i64::try_from(since.as_millis()).ok());
            Ok(Source { object: local(path)?, last_modified_ms })
        };
        files.iter().map(source).collect()
    }

    fn takes(&self, path: &Path, name: &str) -> bool {
        let path = path.strip_prefix(".").unwrap_or(path);
        self.glob.is_match(path) && !name.ends_with(".errors.jsonl")
    }
}

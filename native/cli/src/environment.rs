//! The environment of the child: where references stand, and what takes their place.
//!
//! Three sources, the later wins: the environment of the caller, each `--env-file`, each `--env`. A variable whose whole value is
//! `sv://PATH` or `sv://PATH#FIELD` is a reference; one that begins `sv://` and is none is refused rather than passed on.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::fs::{File, Permissions};
use std::io::{Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use zeroize::Zeroizing;

use crate::command::Run;
use crate::envfile;
use crate::fault::{Fault, exit};
use crate::field::Content;
use crate::infile::input;
use crate::reference::{Reference, SCHEME};

/// The longest `NAME=value` that the kernel takes, in bytes (execve(2): 32 pages with the final zero).
const MAX_STRING: usize = 32 * 4096 - 1;
/// What a child may know of our own settings: where to find things, nothing that opens something.
const OWN_PASSED: [&str; 4] = ["STILLVAULT_HOME", "STILLVAULT_SOCKET", "STILLVAULT_FORMAT", "STILLVAULT_NO_INPUT"];

/// What a variable is set to.
enum Setting {
    Plain(OsString),
    /// What the reference at this position stands for.
    Secret(usize),
    /// The same, in a file in memory: the variable is its name.
    File(usize),
}

/// The environment to come, before its values are known.
pub struct Plan {
    settings: BTreeMap<OsString, Setting>,
    /// The distinct references, in order of appearance.
    pub references: Vec<Reference>,
}

impl Plan {
    /// Collects the three sources. `inherited` is the environment of the caller.
    pub fn collect(wanted: &Run, inherited: impl Iterator<Item = (OsString, OsString)>) -> Result<Self, Fault> {
        let mut plan = Self { settings: BTreeMap::new(), references: Vec::new() };
        for (name, value) in inherited {
            let own = name.as_bytes().starts_with(b"STILLVAULT_");
            if !own || OWN_PASSED.iter().any(|passed| name == *passed) {
                plan.set(name, value)?;
            }
        }
        for file in &wanted.env_files {
            let within = |fault: Fault| Fault { message: format!("{}: {}", file.display(), fault.message), ..fault };
            let text = String::from_utf8(input(file)?).map_err(|_| within(Fault::usage("not text in UTF-8", "")))?;
            for (name, value) in envfile::parse(&text).map_err(within)? {
                plan.set(name.into(), value.into()).map_err(within)?;
            }
        }
        for (name, reference) in &wanted.bindings {
            plan.ask(name.clone(), reference.clone(), Setting::Secret);
        }
        for (name, reference) in &wanted.files {
            plan.ask(name.clone(), reference.clone(), Setting::File);
        }
        Ok(plan)
    }

    fn set(&mut self, name: OsString, value: OsString) -> Result<(), Fault> {
        if !value.as_bytes().starts_with(SCHEME.as_bytes()) {
            self.settings.insert(name, Setting::Plain(value));
            return Ok(());
        }
        let reference = Reference::parse(&value.to_string_lossy());
        let reference = reference.map_err(|f| Fault { message: format!("{}: {}", name.to_string_lossy(), f.message), ..f })?;
        self.ask(name, reference, Setting::Secret);
        Ok(())
    }

    fn ask(&mut self, name: OsString, reference: Reference, how: fn(usize) -> Setting) {
        let known = self.references.iter().position(|known| *known == reference);
        let index = known.unwrap_or(self.references.len());
        if known.is_none() {
            self.references.push(reference);
        }
        self.settings.insert(name, how(index));
    }

    /// Forgets secrets that a later source replaced, so that nobody is asked for them.
    pub fn prune(mut self) -> Self {
        let used: Vec<usize> = (0..self.references.len()).filter(|index| self.names(*index).next().is_some()).collect();
        for setting in self.settings.values_mut() {
            if let Setting::Secret(index) | Setting::File(index) = setting {
                *index = used.iter().position(|kept| kept == index).unwrap_or(0);
            }
        }
        let all = std::mem::take(&mut self.references).into_iter().enumerate();
        self.references = all.filter(|(index, _)| used.contains(index)).map(|(_, reference)| reference).collect();
        self
    }

    /// The names that the reference at `index` is given to.
    pub fn names(&self, index: usize) -> impl Iterator<Item = &OsStr> {
        let holds = move |setting: &Setting| matches!(setting, Setting::Secret(at) | Setting::File(at) if *at == index);
        self.settings.iter().filter(move |(_, setting)| holds(setting)).map(|(name, _)| name.as_os_str())
    }

    /// The plain value of a variable.
    pub fn plain(&self, name: &str) -> Option<&OsStr> {
        match self.settings.get(OsStr::new(name)) {
            Some(Setting::Plain(value)) => Some(value),
            _ => None,
        }
    }

    /// The environment with its values. A value that no variable can hold is refused with the reason.
    pub fn fill(self, values: &[Content<'_>]) -> Result<Environment, Fault> {
        let mut environment = Environment { settings: Vec::with_capacity(self.settings.len()), files: Vec::new() };
        for (name, setting) in self.settings {
            let value = match setting {
                Setting::Plain(value) => value.into_vec(),
                Setting::Secret(index) => {
                    let bytes = values.get(index).map_or(&[][..], Content::bytes);
                    check_value(&name, bytes)?;
                    bytes.to_vec()
                }
                Setting::File(index) => {
                    let file = in_memory(values.get(index).map_or(&[][..], Content::bytes))?;
                    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
                    environment.files.push(file);
                    path.into_bytes()
                }
            };
            environment.settings.push((name, Zeroizing::new(value)));
        }
        Ok(environment)
    }
}

/// An environment with its values. Wiped when dropped.
pub struct Environment {
    settings: Vec<(OsString, Zeroizing<Vec<u8>>)>,
    /// Open until the command has its own copies.
    files: Vec<File>,
}

impl Environment {
    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.settings.iter().map(|(name, value)| (name.as_os_str(), OsStr::from_bytes(value)))
    }

    /// `NAME=value`, as execve(2) takes it. What our own environment held has no zero byte, and values were looked at.
    pub fn settings(&self) -> Vec<Zeroizing<CString>> {
        let setting = |(name, value): &(OsString, Zeroizing<Vec<u8>>)| {
            // One allocation of the final size, handed on and not copied.
            let mut bytes = Vec::with_capacity(name.len() + value.len() + 2);
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(b'=');
            bytes.extend_from_slice(value);
            CString::new(bytes).ok().map(Zeroizing::new)
        };
        self.settings.iter().filter_map(setting).collect()
    }
}

/// A file without a name that the command inherits: readable by this account alone, and sealed, so that it stays as it is.
fn in_memory(value: &[u8]) -> Result<File, Fault> {
    let make = || -> std::io::Result<File> {
        let mut file = File::from(memfd_create("stillvault", MFdFlags::MFD_ALLOW_SEALING)?);
        file.write_all(value)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        let seals = SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_SEAL;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
        file.rewind()?;
        Ok(file)
    };
    make().map_err(|problem| Fault::system("a file in memory cannot be made", problem).with_exit(exit::TOOL_FAILED))
}

fn check_value(name: &OsStr, value: &[u8]) -> Result<(), Fault> {
    let shown = name.to_string_lossy();
    let remedy = "take it as a file: stillvault run --file NAME=sv://PATH, or stillvault read sv://PATH --out-file F";
    let refused =
        |why: &str| Fault::failed("environment", format!("the value for {shown} {why}"), remedy).with_exit(exit::TOOL_FAILED);
    if value.contains(&0) {
        return Err(refused("holds a zero byte, which no environment variable can"));
    }
    if name.len() + 1 + value.len() > MAX_STRING {
        return Err(refused("is larger than an environment variable can be"));
    }
    Ok(())
}

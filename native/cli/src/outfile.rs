//! Files that hold values: new, whole or absent, of the owner alone.
//!
//! The bytes go into a fresh file beside the target (`O_EXCL`, `O_NOFOLLOW`, mode set on the descriptor, so no umask widens it),
//! are synced, and take the target's name in one step that refuses to replace anything. With `force` a regular file is replaced
//! in the same one step; a link, directory or device never is.

use std::fs::{File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, RenameFlags, renameat2};

use crate::fault::Fault;

/// Refuses a target that [`write()`] would refuse, before anybody is asked.
pub fn check(target: &Path, force: bool) -> Result<(), Fault> {
    let shown = target.display();
    if target.file_name().is_none() {
        return Err(Fault::usage(format!("{shown} is not the name of a file"), ""));
    }
    let directory = directory(target);
    if !directory.is_dir() {
        return Err(Fault::usage(format!("{} is not a directory", directory.display()), "make it first"));
    }
    match target.symlink_metadata() {
        Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(problem) => Err(Fault::usage(format!("{shown}: {problem}"), "")),
        Ok(found) if found.is_symlink() => {
            Err(Fault::usage(format!("{shown} is a link; a value is never written through one"), "name the file itself"))
        }
        Ok(found) if !found.is_file() => Err(Fault::usage(format!("{shown} is not a regular file"), "name a new file")),
        Ok(_) if !force => Err(Fault::usage(format!("{shown} exists"), "name a new file, or add --force to replace it")),
        Ok(_) => Ok(()),
    }
}

/// Writes `parts`, one after the other, as the new file `target`.
pub fn write(target: &Path, parts: &[&[u8]], mode: u32, force: bool) -> Result<(), Fault> {
    check(target, force)?;
    let (path, mut file) = fresh(target)?;
    let written = fill(&mut file, parts, mode).and_then(|()| name(&path, target, force));
    if written.is_err() {
        let _ = std::fs::remove_file(&path);
    }
    written
}

fn directory(target: &Path) -> &Path {
    target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn fresh(target: &Path) -> Result<(PathBuf, File), Fault> {
    for attempt in 0..16 {
        // Not secret, only unlikely to be taken: O_EXCL makes sure.
        let path = directory(target).join(format!(".stillvault-{}-{attempt}", std::process::id()));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600).custom_flags((OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC).bits());
        match options.open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(problem) if problem.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(problem) => return Err(unwritten(target, &problem)),
        }
    }
    let remedy = "remove the files .stillvault-* there";
    Err(Fault::failed("output", format!("no free name for a new file in {}", directory(target).display()), remedy))
}

fn fill(file: &mut File, parts: &[&[u8]], mode: u32) -> Result<(), Fault> {
    let mut all = || {
        for part in parts {
            file.write_all(part)?;
        }
        file.set_permissions(Permissions::from_mode(mode))?;
        file.sync_all()
    };
    all().map_err(|problem| {
        Fault::failed("output", format!("the file could not be written: {problem}"), "nothing was left behind")
    })
}

fn name(path: &Path, target: &Path, force: bool) -> Result<(), Fault> {
    let renamed = if force {
        std::fs::rename(path, target)
    } else {
        match renameat2(AT_FDCWD, path, AT_FDCWD, target, RenameFlags::RENAME_NOREPLACE) {
            // Some file systems know no such rename; a second name that must be new does the same.
            Err(Errno::EINVAL | Errno::ENOSYS) => std::fs::hard_link(path, target).and_then(|()| std::fs::remove_file(path)),
            other => other.map_err(std::io::Error::from),
        }
    };
    renamed.map_err(|problem| unwritten(target, &problem))?;
    // The name itself is durable too; a file system that cannot say so has still done what was asked.
    let _ = File::open(directory(target)).and_then(|directory| directory.sync_all());
    Ok(())
}

fn unwritten(target: &Path, problem: &std::io::Error) -> Fault {
    Fault::failed("output", format!("{} could not be written: {problem}", target.display()), "nothing was left behind")
}

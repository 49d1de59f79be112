//! The way out: standard output, whole or with the reason why not.

use crate::fault::Fault;

/// Writes `bytes` to standard output whole, or says why not. There is no buffer that could keep a copy.
pub fn write(bytes: &[u8]) -> Result<(), Fault> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match nix::unistd::write(std::io::stdout(), rest) {
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(nix::errno::Errno::EINTR) => {}
            Err(nix::errno::Errno::EPIPE) => {
                return Err(Fault::failed("output", "nobody reads standard output any more", "check the command after the pipe"));
            }
            Err(problem) => {
                let remedy = "look at the file or device behind standard output; what it holds now is not whole";
                return Err(Fault::failed("output", format!("standard output took only a part: {}", problem.desc()), remedy));
            }
        }
    }
    Ok(())
}

/// Writes text to standard output.
pub fn print(text: impl AsRef<str>) -> Result<(), Fault> {
    write(text.as_ref().as_bytes())
}

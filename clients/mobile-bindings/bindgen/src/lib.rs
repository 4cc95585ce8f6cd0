//! What other languages see of `voxwire-ffi`: the C header by cbindgen, Kotlin and Swift by
//! `UniFFI`.

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

use camino::Utf8PathBuf;
use uniffi_bindgen::bindings::{GenerateOptions, TargetLanguage, generate_with_bindgen_paths};
use uniffi_bindgen::{BindgenPaths, BindgenPathsLayer};

/// What was made, or why not.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What the header is made of, in its order.
const SOURCES: [&str; 12] = [
    "code.rs",
    "kinds.rs",
    "values.rs",
    "c/memory.rs",
    "c/channel.rs",
    "c/timeline.rs",
    "c/tool_runs.rs",
    "c/tool_calls.rs",
    "c/sound.rs",
    "c/playout.rs",
    "c/conversation.rs",
    "c/session.rs",
];

/// The header that is committed.
#[must_use]
pub fn header_path() -> PathBuf {
    workspace().join("c/include/voxwire.h")
}

/// The text of the C header.
///
/// # Errors
///
/// cbindgen's: the sources cannot be read.
pub fn header() -> Result<String> {
    let root = workspace().join("ffi");
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml"))?;
    let builder = cbindgen::Builder::new().with_config(config);
    let read =
        |builder: cbindgen::Builder, name: &&str| builder.with_src(root.join("src").join(name));
    let bindings = SOURCES.iter().fold(builder, read).generate()?;
    let mut text = Vec::new();
    bindings.write(&mut text);
    // The prefix of types is not that of constants.
    Ok(String::from_utf8(text)?.replace("VoxwireABI_VERSION", "VOXWIRE_ABI_VERSION"))
}

/// Writes Kotlin or Swift into a folder.
///
/// # Arguments
///
/// `library`: a libvoxwire of the machine, not stripped: `UniFFI` reads its symbols.
///
/// # Errors
///
/// No such language; `UniFFI`'s.
pub fn foreign(language: &str, library: &str, folder: &str) -> Result<()> {
    let language = match language {
        "kotlin" => TargetLanguage::Kotlin,
        "swift" => TargetLanguage::Swift,
        other => return Err(format!("no such language: {other}").into()),
    };
    fs::create_dir_all(folder)?;
    let mut paths = BindgenPaths::default();
    paths.add_layer(Ffi);
    let options = GenerateOptions {
        languages: vec![language],
        source: library.into(),
        out_dir: folder.into(),
        ..GenerateOptions::default()
    };
    Ok(generate_with_bindgen_paths(options, paths)?)
}

/// Of the clone that this runs for: several share what is compiled.
fn workspace() -> PathBuf {
    let here = env::var_os("CARGO_MANIFEST_DIR");
    here.map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from).join("..")
}

/// Where `UniFFI` finds its configuration, without asking cargo.
struct Ffi;

impl BindgenPathsLayer for Ffi {
    fn get_crate_root(&self, _crate_name: &str) -> Option<Utf8PathBuf> {
        Utf8PathBuf::from_path_buf(workspace().join("ffi")).ok()
    }
}

//! `voxwire-bindgen header` writes the header that is committed; `voxwire-bindgen kotlin|swift
//! LIBRARY FOLDER` writes those languages.

use std::{env, fs};

use voxwire_bindgen::{Result, foreign, header, header_path};

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments {
        ["header"] => Ok(fs::write(header_path(), header()?)?),
        [language, library, folder] => foreign(language, library, folder),
        _ => Err("voxwire-bindgen header | kotlin LIBRARY FOLDER | swift LIBRARY FOLDER".into()),
    }
}

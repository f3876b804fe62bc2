//! Packs, lists, verifies and extracts swosbase images; makes keys.

#![forbid(unsafe_code)]

use std::fs::{self, OpenOptions};
use std::io::{self, BufRead as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Parser, Subcommand};
use swos_basepack::{
    Format, Manifest, extract, generate_seed, list, pack_dir, read_public_key, read_seed, verify,
};
use swos_swosbase::{PublicKey, Seed, TEST_PUBLIC_KEY, TEST_SEED};

/// Packs, lists, verifies and extracts signed swosbase images; makes keys.
///
/// Exit status: 0 done, 1 refused or failed, 2 wrong usage.
///
/// `basepack DIR OUT SEED` packs a version 3 image as the predecessor's tool of this name did.
#[derive(Debug, Parser)]
#[command(name = "basepack", version, args_conflicts_with_subcommands = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    classic: Classic,
}

#[derive(Args, Debug)]
struct Classic {
    /// Directory to pack.
    #[arg(hide = true, requires = "out")]
    dir: Option<PathBuf>,
    /// Image to write.
    #[arg(hide = true, requires = "seed")]
    out: Option<PathBuf>,
    /// Seed file, 32 bytes.
    #[arg(hide = true)]
    seed: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Pack a directory into an image.
    Pack {
        /// Directory with the content.
        dir: PathBuf,
        /// Image to write.
        out: PathBuf,
        /// Owners, modes, empty directories and links that DIR can't say (TOML).
        #[arg(long, value_name = "FILE")]
        manifest: Option<PathBuf>,
        /// Version of the format.
        #[arg(long, default_value = "4", value_parser = ["3", "4"])]
        format: String,
        /// Version of the image: systems refuse one older than they have run. Version 4 only.
        #[arg(long, value_name = "N", default_value_t = 0)]
        image_version: u64,
        #[command(flatten)]
        key: SeedArg,
    },
    /// Verify an image and list what is in it.
    List {
        /// Image to read.
        image: PathBuf,
        #[command(flatten)]
        key: PublicKeyArg,
    },
    /// Verify every byte of an image.
    Verify {
        /// Image to read.
        #[arg(required_unless_present = "batch", conflicts_with = "batch")]
        image: Option<PathBuf>,
        #[command(flatten)]
        key: PublicKeyArg,
        /// Refuse image versions below this. Version 4 only.
        #[arg(long, value_name = "N", default_value_t = 0)]
        min_version: u64,
        /// Read paths of images from standard input, answer `ok` or `no` for each.
        #[arg(long)]
        batch: bool,
    },
    /// Verify an image and write its content into a new directory.
    Extract {
        /// Image to read.
        image: PathBuf,
        /// Directory to make.
        dir: PathBuf,
        #[command(flatten)]
        key: PublicKeyArg,
    },
    /// Make a key pair.
    Keygen {
        /// Seed file to make: keep it secret.
        seed: PathBuf,
        /// Public key file to make.
        public: PathBuf,
    },
    /// Write the public key of a seed.
    Pubkey {
        /// Seed file to read.
        seed: PathBuf,
        /// Public key file to make.
        public: PathBuf,
    },
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct SeedArg {
    /// Seed file to sign with, 32 bytes.
    #[arg(long, value_name = "SEED")]
    key: Option<PathBuf>,
    /// Sign with the test key, which proves nothing.
    #[arg(long)]
    test_key: bool,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct PublicKeyArg {
    /// Public key file to verify with, 32 bytes.
    #[arg(long, value_name = "PUB")]
    key: Option<PathBuf>,
    /// Verify with the test key, which proves nothing.
    #[arg(long)]
    test_key: bool,
}

impl SeedArg {
    fn get(&self) -> Result<Seed> {
        self.key.as_ref().map_or(Ok(TEST_SEED), |path| read_seed(path))
    }
}

impl PublicKeyArg {
    fn get(&self) -> Result<PublicKey> {
        self.key.as_ref().map_or(Ok(TEST_PUBLIC_KEY), |path| read_public_key(path))
    }
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("basepack: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    let Some(command) = cli.command else {
        return classic(&cli.classic);
    };
    match command {
        Command::Pack { dir, out, manifest, format, image_version, key } => {
            let manifest = manifest.as_deref().map_or_else(|| Ok(Manifest::default()), Manifest::read)?;
            let format = match format.as_str() {
                "3" if image_version != 0 => bail!("version 3 has no image version"),
                "3" => Format::V3,
                _ => Format::V4 { image_version },
            };
            pack(&dir, &manifest, format, &key.get()?, &out)?;
        }
        Command::List { image, key } => {
            let text = list(&read(&image)?, &[key.get()?])
                .with_context(|| format!("{} is refused", image.display()))?;
            // A reader that closes early (`| head`) is no failure.
            let _ = io::stdout().write_all(text.as_bytes());
        }
        Command::Verify { image: Some(image), key, min_version, .. } => {
            let summary = verify(&read(&image)?, &[key.get()?], min_version)
                .with_context(|| format!("{} is refused", image.display()))?;
            println!("ok: {summary}");
        }
        Command::Verify { image: None, key, min_version, .. } => return batch(&[key.get()?], min_version),
        Command::Extract { image, dir, key } => {
            extract(&read(&image)?, &dir, &[key.get()?])
                .with_context(|| format!("can't extract {}", image.display()))?;
        }
        Command::Keygen { seed, public } => {
            let secret = generate_seed()?;
            write_new(&seed, &secret.0, 0o600)?;
            write_new(&public, &secret.public_key().0, 0o644)?;
        }
        Command::Pubkey { seed, public } => write_new(&public, &read_seed(&seed)?.public_key().0, 0o644)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn classic(classic: &Classic) -> Result<ExitCode> {
    let (Some(dir), Some(out), Some(seed)) = (&classic.dir, &classic.out, &classic.seed) else {
        bail!(
            "`basepack DIR OUT` wrote unsigned version 2 images, which are not made any more: give a seed file"
        );
    };
    pack(dir, &Manifest::default(), Format::V3, &read_seed(seed)?, out)?;
    Ok(ExitCode::SUCCESS)
}

fn pack(dir: &Path, manifest: &Manifest, format: Format, seed: &Seed, out: &Path) -> Result<()> {
    let image = pack_dir(dir, manifest, format, seed)?;
    fs::write(out, &image).with_context(|| format!("can't write {}", out.display()))
}

/// One answer a line, written at once: a driver waits for it. Ends well however many images were refused.
fn batch(keys: &[PublicKey], floor: u64) -> Result<ExitCode> {
    let mut out = io::stdout().lock();
    for path in io::stdin().lock().lines() {
        let path = path.context("can't read standard input")?;
        let good = fs::read(&path).is_ok_and(|image| verify(&image, keys, floor).is_ok());
        writeln!(out, "{}", if good { "ok" } else { "no" })?;
        out.flush()?;
    }
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("can't read {}", path.display()))
}

/// Never over an existing file: a lost seed can't be made again.
fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(bytes))
        .with_context(|| format!("can't make {}", path.display()))
}

//! Programs of releases from a job server that asks who comes.

use std::sync::Arc;

use anyhow::{Context, Result};
use nightshift_client::Access;
use nightshift_e2e::scene::Scene;
use nightshift_engine::binaries::{FetchError, FetchLimits, Fetcher, Shelf, digest_of, is_it};
use nightshift_launcher::programs::ArtifactStore;
use nightshift_manifest::binaries::{Binary, Place, Program, Wanted};
use nightshift_manifest::machine::this_target;

#[test]
fn programs_are_fetched_with_a_credential_over_the_pinned_authority_and_go_on_where_they_were() -> Result<()> {
    let mut scene = Scene::set()?;
    let guard = scene.grid.server.ask_for_tokens()?;
    let bytes: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    let file = scene.folder().join("built");
    std::fs::write(&file, &bytes)?;
    let (sha256, size) = (digest_of(&file)?, bytes.len() as u64);
    let body = vec![Ok::<_, std::io::Error>(bytes.clone().into())];
    scene.ask(async |client| client.put_artifact(sha256.as_str(), size, futures_util::stream::iter(body)).await)?;

    let downloads = scene.folder().join("downloads");
    let fetcher = |access: Access| Fetcher {
        places: vec![Place::JobServer],
        job_server: Some(Arc::new(ArtifactStore::new(vec![scene.grid.server.url()], access)) as Arc<dyn Shelf>),
        downloads: downloads.clone(),
        near: Vec::new(),
        watch: Arc::new(|_| true),
        limits: FetchLimits::default(),
    };
    let core = Binary {
        program: Program::Core,
        version: "0.2.0".parse()?,
        target: this_target(),
        size,
        sha256: sha256.clone(),
    };
    let wanted = Wanted { core: Some(core.clone()), launcher: None };
    let bin = scene.folder().join("slot/bin");
    let pin = Some(guard.pin.parse()?);
    let error = fetcher(Access { pin, ..Access::default() }).fetch(&wanted, &bin).expect_err("nobody asked");
    assert!(matches!(error, FetchError::Nowhere { .. }), "{error}");

    // What an attempt before got is not asked for again: were it, the other bytes would be noticed.
    std::fs::create_dir_all(&downloads)?;
    std::fs::write(downloads.join(format!("{sha256}.part")), &bytes[..500_000])?;
    let access = Access { pin, token: Some(guard.admin_token), machine: None };
    fetcher(access).fetch(&wanted, &bin).context("with a token")?;
    assert!(is_it(&bin.join("nightshift-core"), &core));
    Ok(())
}

//! What the gateway's replicas share: tokens, a key, the audit log.

use std::time::Duration;

use longshore_core::Timestamp;
use longshore_core::access::{AuditNote, Role, Token, TokenId};
use longshore_core::limits::{AUDIT_ENTRIES_MAX, AUDIT_PAGE_MAX, TOKENS_MAX};

use super::rig::Rig;

cases! { Access:
    a_token_is_kept_listed_and_revoked,
    a_token_takes_the_place_of_one_with_its_id,
    there_is_room_for_so_many_tokens,
    the_first_key_that_is_offered_is_everybodys,
    a_key_that_was_replaced_is_nobodys,
    a_session_that_has_ended_is_remembered_until_its_own_end,
    the_audit_log_is_read_from_its_end_page_by_page,
    the_same_note_again_is_written_once,
    the_oldest_lines_of_the_audit_log_make_room,
}

fn token(id: u64) -> Token {
    Token {
        id: TokenId(id),
        name: format!("service-{id}"),
        role: Role::Producer,
        hash: vec![u8::try_from(id % 256).unwrap(); 32],
        created_at: Timestamp(1_000 + id),
        created_by: "admin".to_owned(),
        expires_at: Some(Timestamp(99)),
    }
}

fn note(id: u64) -> AuditNote {
    AuditNote {
        id,
        who: "ada".to_owned(),
        action: "job.cancel".to_owned(),
        subject: format!("job {id}"),
        detail: "a reason with \"quotes\" and ünicode\n".to_owned(),
        request_id: format!("{id:016x}"),
    }
}

async fn a_token_is_kept_listed_and_revoked(rig: Rig) {
    let access = &rig.ports.access;
    assert_eq!(access.token(TokenId(2)).await, Ok(None));
    for id in [2, 1] {
        assert_eq!(access.put_token(token(id)).await, Ok(true));
    }
    assert_eq!(access.token(TokenId(2)).await, Ok(Some(token(2))));
    assert_eq!(
        access.tokens().await,
        Ok(vec![token(1), token(2)]),
        "the oldest first"
    );
    assert_eq!(access.revoke_token(TokenId(2)).await, Ok(true));
    assert_eq!(access.revoke_token(TokenId(2)).await, Ok(false));
    assert_eq!(access.token(TokenId(2)).await, Ok(None));
    assert_eq!(access.tokens().await, Ok(vec![token(1)]));
}

async fn a_token_takes_the_place_of_one_with_its_id(rig: Rig) {
    let access = &rig.ports.access;
    let other = Token {
        role: Role::Viewer,
        expires_at: None,
        ..token(7)
    };
    for kept in [token(7), token(7), other.clone()] {
        assert_eq!(access.put_token(kept).await, Ok(true));
    }
    assert_eq!(access.tokens().await, Ok(vec![other]));
}

async fn there_is_room_for_so_many_tokens(rig: Rig) {
    let access = &rig.ports.access;
    for id in 0..TOKENS_MAX as u64 {
        assert_eq!(access.put_token(token(id)).await, Ok(true), "{id}");
    }
    assert_eq!(access.put_token(token(5_000)).await, Ok(false));
    assert_eq!(
        access.put_token(token(5)).await,
        Ok(true),
        "one that is there already"
    );
    assert_eq!(access.revoke_token(TokenId(0)).await, Ok(true));
    assert_eq!(access.put_token(token(5_000)).await, Ok(true));
}

async fn the_first_key_that_is_offered_is_everybodys(rig: Rig) {
    let access = &rig.ports.access;
    assert_eq!(access.gateway_key([1; 32]).await, Ok([1; 32]));
    assert_eq!(access.gateway_key([2; 32]).await, Ok([1; 32]));
}

async fn a_key_that_was_replaced_is_nobodys(rig: Rig) {
    let access = &rig.ports.access;
    assert_eq!(access.gateway_key([1; 32]).await, Ok([1; 32]));
    access.replace_gateway_key([3; 32]).await.unwrap();
    assert_eq!(access.gateway_key([1; 32]).await, Ok([3; 32]));
}

async fn a_session_that_has_ended_is_remembered_until_its_own_end(rig: Rig) {
    let access = &rig.ports.access;
    let now = rig.now();
    assert_eq!(access.has_session_ended(1).await, Ok(false));
    access
        .end_session(1, now.after(Duration::from_secs(3_600)))
        .await
        .unwrap();
    access
        .end_session(2, now.before(Duration::from_secs(1)))
        .await
        .unwrap();
    assert_eq!(access.has_session_ended(1).await, Ok(true));
    assert_eq!(access.has_session_ended(2).await, Ok(false), "its time is over");
    assert_eq!(access.has_session_ended(3).await, Ok(false));
}

async fn the_audit_log_is_read_from_its_end_page_by_page(rig: Rig) {
    let access = &rig.ports.access;
    assert_eq!(access.audit_log(None, 10).await, Ok(Vec::new()));
    for id in 1..=5 {
        access.append_audit(note(id)).await.unwrap();
        rig.pass(Duration::from_millis(20)).await;
    }
    let newest = access.audit_log(None, 2).await.unwrap();
    let notes: Vec<_> = newest.iter().map(|line| line.note.clone()).collect();
    assert_eq!(notes, [note(5), note(4)]);
    assert!(newest[0].at > newest[1].at, "{newest:?}");
    let rest = access.audit_log(Some(newest[1].seq), 10).await.unwrap();
    let ids: Vec<_> = rest.iter().map(|line| line.note.id).collect();
    assert_eq!(ids, [3, 2, 1]);
    let first = rest.last().unwrap().seq;
    assert_eq!(access.audit_log(Some(first), 10).await, Ok(Vec::new()));
}

async fn the_same_note_again_is_written_once(rig: Rig) {
    let access = &rig.ports.access;
    for id in [1, 2, 1, 2, 3] {
        access.append_audit(note(id)).await.unwrap();
    }
    let lines = access.audit_log(None, 10).await.unwrap();
    let ids: Vec<_> = lines.iter().map(|line| line.note.id).collect();
    assert_eq!(ids, [3, 2, 1]);
}

async fn the_oldest_lines_of_the_audit_log_make_room(rig: Rig) {
    let access = &rig.ports.access;
    let written = AUDIT_ENTRIES_MAX as u64 + 3;
    for id in 1..=written {
        access.append_audit(note(id)).await.unwrap();
    }
    let (mut before, mut ids) = (None, Vec::new());
    loop {
        let page = access.audit_log(before, usize::MAX).await.unwrap();
        assert!(page.len() <= AUDIT_PAGE_MAX, "{}", page.len());
        let Some(last) = page.last() else { break };
        before = Some(last.seq);
        ids.extend(page.iter().map(|line| line.note.id));
    }
    assert_eq!(ids, (4..=written).rev().collect::<Vec<_>>());
}

//! Groups of the outbox become messages at a target, each at least once.
//!
//! A target has two lanes, each with a cursor of its own: what is urgent goes ahead of what is not. A cursor moves after the target
//! has the message; a crash between the two repeats that message under the same id. What is refused, or was tried for too long,
//! becomes a dead letter; what fails while others pass is set aside and tried again by itself, so that it holds up nobody. When
//! everything fails, the lane waits.

mod plan;
mod render;

pub use plan::Plan;
pub(crate) use render::{Renderer, names_of};

use crate::ServerError;
use crate::core::{Core, lock};
use crate::reconcile::{Outcome, Reconciler};
use lestrade_events::{DeliveryError, Digests, Event, Message, Sent, Target, TokenBucket};
use lestrade_model::{Scope, Timestamp};
use lestrade_store::{Change, Cursor, Delivery, Item, Lane, Letter, LetterNote, LetterState, OutboxGroup};
use lestrade_sys::step;
use plan::Chosen;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Groups read at a time.
const GROUPS: u32 = 64;
/// Things that are looked at before how far we are is noted, whether one of them was sent or not.
const LOOKED_AT: usize = 1_000;
/// Attempts at one message before it is set aside.
const ATTEMPTS_IN_PLACE: u32 = 3;
/// Messages that may be set aside at a time: when so many fail, it is the target that is down, and the lane waits.
const SET_ASIDE: u64 = 16;
/// Letters tried at a time.
const LETTERS: u32 = 16;

/// Serves one target from the outbox.
pub struct Deliver {
    core: Arc<Core>,
    plan: Plan,
    target: Box<dyn Target>,
    renderer: Renderer,
    bucket: Option<TokenBucket>,
    /// How far the target was served, as it is in the store.
    state: Option<State>,
    /// Not to be asked before.
    not_before: Timestamp,
    /// The next summary is not sent before: one that is not taken holds up nobody.
    summary_not_before: Timestamp,
    /// Groups that were read and not served, of each lane.
    windows: [VecDeque<OutboxGroup>; 2],
}

struct State {
    delivery: Delivery,
    digests: Digests,
    /// Whether the next message of a lane may have reached the receiver before: urgent, ordinary.
    uncertain: [bool; 2],
}

/// Where in its lane a message stands that is ready.
struct Step {
    group: u64,
    item: Item,
    happened: Timestamp,
    /// The cursor when it is the next one.
    before: Cursor,
}

/// What is ready to be sent of a lane.
struct Gathered {
    steps: Vec<Step>,
    /// The message of each step.
    messages: Vec<Message>,
    /// Letters for messages that cannot be made.
    put: Vec<Letter>,
    /// The cursor behind all that was looked at.
    end: Cursor,
}

/// What a slice of a lane came to.
enum Slice {
    /// There was nothing.
    Empty,
    Served,
    Wait(Duration),
}

/// The cursor that asks for a target to be served again.
fn replay_cursor(target: &str) -> String {
    format!("replay/{target}")
}

/// Has a target served again from a position of the outbox on; takes effect when the target is next looked at.
pub(crate) fn replay(core: &Core, target: &str, after: u64) -> Result<(), ServerError> {
    let cursors = vec![(replay_cursor(target), after.to_le_bytes().to_vec())];
    Ok(lock(&core.store).commit(&Change { cursors, ..Change::default() })?)
}

impl Deliver {
    /// Serves `target` as `plan` says. One that is new starts with what happens from now on. What belongs to no resource is told as
    /// of `home`.
    ///
    /// # Errors
    /// When the store fails.
    pub fn new(core: Arc<Core>, plan: Plan, target: Box<dyn Target>, home: Scope) -> Result<Self, ServerError> {
        {
            let mut store = lock(&core.store);
            if store.delivery(target.name())?.is_none() {
                let now = Cursor { done: core.last_group(), ..Cursor::default() };
                store.settle(target.name(), &Delivery { ordinary: now, urgent: now, digests: Vec::new() }, &[], &[])?;
            }
        }
        let bucket = plan.record.rate.map(TokenBucket::new);
        let at_once = Timestamp::from_millis(i64::MIN);
        Ok(Self {
            core,
            plan,
            target,
            renderer: Renderer::new(home),
            bucket,
            state: None,
            not_before: at_once,
            summary_not_before: at_once,
            windows: Default::default(),
        })
    }

    /// Reads how far the target was served, unless that is known, and goes back where somebody asked for that.
    fn load(&mut self) -> Result<State, ServerError> {
        let mut store = lock(&self.core.store);
        let asked = replay_cursor(self.target.name());
        let back = store.cursor(&asked)?.and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?)));
        let known = self.state.take().filter(|_| back.is_none());
        if let Some(state) = known {
            return Ok(state);
        }
        self.windows = Default::default();
        let mut delivery = store.delivery(self.target.name())?.unwrap_or_default();
        if let Some(done) = back {
            let from = Cursor { done, ..Cursor::default() };
            (delivery.ordinary, delivery.urgent) = (from, from);
            store.settle(self.target.name(), &delivery, &[], &[])?;
            store.commit(&Change { cursors: vec![(asked, Vec::new())], ..Change::default() })?;
        }
        // What cannot be decoded was written by another version: counting begins anew.
        let digests = postcard::from_bytes(&delivery.digests).unwrap_or_default();
        let uncertain = [delivery.urgent.attempts > 0, delivery.ordinary.attempts > 0];
        Ok(State { delivery, digests, uncertain })
    }

    fn settle(&self, state: &mut State, put: &[Letter], done: &[String]) -> Result<(), ServerError> {
        if self.plan.record.digest.is_some() {
            state.delivery.digests = postcard::to_stdvec(&state.digests).map_err(|_| ServerError::Encoding)?;
        }
        Ok(lock(&self.core.store).settle(self.target.name(), &state.delivery, put, done)?)
    }

    fn run(&mut self, state: &mut State) -> Result<Outcome, ServerError> {
        let mut outcome = Outcome::Unchanged;
        if self.letters(state)? {
            outcome = Outcome::Changed;
        }
        loop {
            let slice = match self.digest(state)? {
                Slice::Empty => match self.slice(state, Lane::Urgent)? {
                    Slice::Empty => self.slice(state, Lane::Ordinary)?,
                    other => other,
                },
                other => other,
            };
            match slice {
                Slice::Empty => return Ok(outcome),
                Slice::Served => outcome = Outcome::Changed,
                Slice::Wait(pause) => {
                    self.wait(pause);
                    return Ok(outcome);
                }
            }
        }
    }

    fn wait(&mut self, pause: Duration) {
        self.not_before = self.core.now().plus(pause);
    }

    /// Sends the next messages of a lane.
    fn slice(&mut self, state: &mut State, lane: Lane) -> Result<Slice, ServerError> {
        let start = *state.delivery.cursor(lane);
        self.fill(lane, start)?;
        if self.windows[index(lane)].is_empty() {
            return Ok(Slice::Empty);
        }
        let Gathered { mut steps, mut messages, mut put, mut end } = self.gather(state, lane, start);
        if steps.is_empty() {
            *state.delivery.cursor(lane) = end;
            self.settle(state, &put, &[])?;
            return Ok(Slice::Served);
        }
        step("deliver: gathered");
        let now = self.core.now();
        if let Some(bucket) = &mut self.bucket {
            match bucket.take(steps.len(), now) {
                Ok(allowed) => {
                    messages.truncate(allowed);
                    if let Some(first_held) = steps.drain(allowed..).next() {
                        end = first_held.before;
                    }
                }
                Err(pause) => {
                    *state.delivery.cursor(lane) = Cursor { attempts: start.attempts, ..steps[0].before };
                    self.settle(state, &put, &[])?;
                    return Ok(Slice::Wait(pause));
                }
            }
        }
        let first = Cursor { attempts: start.attempts + 1, ..steps[0].before };
        if !self.target.takes_key() {
            messages[0].repeated = state.uncertain[index(lane)];
            // Ahead of the attempt: should we not come back from it, the next one knows.
            *state.delivery.cursor(lane) = first;
            self.settle(state, &put, &[])?;
            step("deliver: attempt noted");
            put.clear();
        }
        step("deliver: sends");
        let (served, pause) = self.send(&steps, &messages, first.attempts, now, &mut put)?;
        step("deliver: sent");
        if let Some(policy) = self.plan.record.digest {
            messages[..served].iter().for_each(|message| state.digests.sent(&message.event, policy, now));
        }
        let uncertain = matches!(&pause, Some((_, true)));
        state.uncertain[index(lane)] = uncertain;
        *state.delivery.cursor(lane) = match steps.get(served) {
            Some(next) => Cursor { attempts: if served == 0 { first.attempts } else { 1 }, ..next.before },
            None => end,
        };
        self.settle(state, &put, &[])?;
        step("deliver: settled");
        Ok(pause.map_or(Slice::Served, |(pause, _)| Slice::Wait(pause)))
    }

    const fn batch(&self) -> usize {
        // A digest counts what was sent: the next message waits for it.
        if self.plan.record.digest.is_some() { 1 } else { LOOKED_AT }
    }

    /// Reads the groups that come next, unless they were read already.
    fn fill(&mut self, lane: Lane, start: Cursor) -> Result<(), ServerError> {
        let groups = &mut self.windows[index(lane)];
        while groups.front().is_some_and(|group| group.id <= start.done) {
            groups.pop_front();
        }
        if groups.is_empty() {
            *groups = lock(&self.core.store).groups_after(lane, start.done, GROUPS)?.into();
        }
        Ok(())
    }

    /// The next messages, at most a batch of the target's.
    fn gather(&mut self, state: &mut State, lane: Lane, start: Cursor) -> Gathered {
        let most = self.target.batch().clamp(1, self.batch());
        let (mut steps, mut messages, mut put, mut looked_at) = (Vec::new(), Vec::new(), Vec::new(), 0);
        let mut at = Cursor { attempts: 0, ..start };
        let groups = std::mem::take(&mut self.windows[index(lane)]);
        'groups: for group in &groups {
            let last = group.fan.len();
            // Of the first one what was served before; the others begin at their beginning.
            let within = at.within;
            for (index, item) in (within..).zip(group.fan.items_from(within)) {
                if steps.len() == most || looked_at == LOOKED_AT {
                    break 'groups;
                }
                looked_at += 1;
                let before = at;
                at = if index + 1 < last { Cursor { within: index + 1, ..at } } else { Cursor { done: group.id, ..Cursor::default() } };
                match self.prepare(state, group, item) {
                    Prepared::Nothing => {}
                    Prepared::Message(message) => {
                        messages.push(*message);
                        steps.push(Step { group: group.id, item, happened: group.at, before });
                    }
                    Prepared::Dead(letter) => put.push(*letter),
                }
            }
            // A group whose every finding is gone moves the cursor too.
            if within >= last {
                at = Cursor { done: group.id, ..Cursor::default() };
            }
        }
        self.windows[index(lane)] = groups;
        Gathered { steps, messages, put, end: at }
    }

    fn prepare(&mut self, state: &mut State, group: &OutboxGroup, item: Item) -> Prepared {
        let Some(rendered) = self.renderer.event(&self.core, group, item) else { return Prepared::Nothing };
        if rendered.overtaken && !self.plan.record.every_revision {
            return Prepared::Nothing;
        }
        let event = rendered.event;
        let now = self.core.now();
        match self.plan.choose(event) {
            Chosen::Not => Prepared::Nothing,
            Chosen::Message(message) => {
                let held = self.plan.record.digest.is_some_and(|policy| !state.digests.admit(&message.event, policy, now));
                if held { Prepared::Nothing } else { Prepared::Message(Box::new(message)) }
            }
            Chosen::Unspeakable { event, rule, reason } => {
                let note = self.note(&event, group.id, item, group.at, now, format!("the message of rule '{rule}': {reason}"));
                Prepared::Dead(Box::new(Letter { id: event.id, state: LetterState::Dead, due: now, note }))
            }
        }
    }

    fn note(&self, event: &Event, group: u64, item: Item, happened: Timestamp, now: Timestamp, reason: String) -> LetterNote {
        let about = event.vulnerability().unwrap_or_default();
        let title = format!("{} {about} {}", event.text("/detail-type"), event.text("/resources/0"));
        tracing::warn!(target_name = self.target.name(), event = event.id, reason, "set aside");
        LetterNote { group, item, attempts: 1, uncertain: false, happened, tried: now, reason, title }
    }

    /// Sends; answers how many of them are done with, and the pause before the next attempt if there is to be one, with whether the
    /// receiver may have the next one already.
    fn send(
        &mut self,
        steps: &[Step],
        messages: &[Message],
        attempts: u32,
        now: Timestamp,
        put: &mut Vec<Letter>,
    ) -> Result<(usize, Option<(Duration, bool)>), ServerError> {
        let mut results = self.target.deliver(messages);
        results.resize(steps.len(), Err(DeliveryError::retry("no answer")));
        let some_passed = results.iter().any(|result| matches!(result, Ok(()) | Err(DeliveryError::Refused(_))));
        if results.iter().all(Result::is_ok) {
            return Ok((steps.len(), None));
        }
        let mut room = SET_ASIDE.saturating_sub(lock(&self.core.store).count_letters(self.target.name(), LetterState::Waiting)?);
        for (index, ((step, message), result)) in steps.iter().zip(messages).zip(results).enumerate() {
            let Err(error) = result else { continue };
            self.core.meters.not_delivered(self.target.name());
            let event = &message.event;
            let (asked, uncertain, refused) = facts(&error);
            let policy = self.plan.record.retry;
            let over = refused || policy.is_over(step.happened, now);
            let tried_enough = some_passed || attempts >= ATTEMPTS_IN_PLACE;
            let pause = policy.pause(attempts, asked, &event.id);
            let set_aside = over || (tried_enough && room > 0);
            if !set_aside {
                tracing::info!(target_name = self.target.name(), %error, attempts, ?pause, "will be tried again");
                return Ok((index, Some((pause, uncertain))));
            }
            let mut note = self.note(event, step.group, step.item, step.happened, now, error.to_string());
            (note.attempts, note.uncertain) = (attempts, uncertain);
            let state = if over { LetterState::Dead } else { LetterState::Waiting };
            room -= u64::from(!over);
            let due = if over { now } else { now.plus(pause) };
            put.push(Letter { id: event.id.clone(), state, due, note });
        }
        Ok((steps.len(), None))
    }

    /// Tries letters that are due; answers whether any was.
    fn letters(&mut self, state: &mut State) -> Result<bool, ServerError> {
        let now = self.core.now();
        let letters = lock(&self.core.store).letters(self.target.name(), LetterState::Waiting, now, LETTERS)?;
        for letter in &letters {
            if let Some(bucket) = &mut self.bucket
                && let Err(pause) = bucket.take(1, now)
            {
                self.wait(pause);
                break;
            }
            let group = lock(&self.core.store).group(letter.note.group)?;
            let rendered = group.and_then(|group| self.renderer.event(&self.core, &group, letter.note.item));
            let sent = match rendered.map(|rendered| self.plan.choose(rendered.event)) {
                Some(Chosen::Message(message)) => {
                    let repeated = letter.note.uncertain && !self.target.takes_key();
                    self.target.deliver(&[Message { repeated, ..message }]).pop().unwrap_or_else(|| Err(DeliveryError::retry("no answer")))
                }
                Some(Chosen::Unspeakable { reason, .. }) => Err(DeliveryError::Refused(reason)),
                // Nothing is left to tell, or no rule wants it told.
                Some(Chosen::Not) | None => Ok(()),
            };
            step("letter: sent");
            match self.answered(letter, &sent, now) {
                Some(again) => self.settle(state, &[again], &[])?,
                None => self.settle(state, &[], std::slice::from_ref(&letter.id))?,
            }
        }
        Ok(!letters.is_empty())
    }

    /// What becomes of a letter after another attempt; none when it is done with.
    fn answered(&self, letter: &Letter, sent: &Sent, now: Timestamp) -> Option<Letter> {
        let Err(error) = sent else { return None };
        self.core.meters.not_delivered(self.target.name());
        let (asked, uncertain, refused) = facts(error);
        let policy = self.plan.record.retry;
        let mut again = letter.clone();
        again.note.attempts = again.note.attempts.saturating_add(1);
        again.note.tried = now;
        again.note.reason = error.to_string();
        again.note.uncertain |= uncertain;
        again.due = now.plus(policy.pause(again.note.attempts, asked, &letter.id));
        if refused || policy.is_over(letter.note.happened, now) {
            (again.state, again.due) = (LetterState::Dead, now);
            tracing::warn!(target_name = self.target.name(), event = letter.id, %error, "given up; `lestrade targets redrive` sends it again");
        }
        Some(again)
    }

    /// Sends a summary that is due.
    fn digest(&mut self, state: &mut State) -> Result<Slice, ServerError> {
        let Some(policy) = self.plan.record.digest else { return Ok(Slice::Empty) };
        let now = self.core.now();
        if now < self.summary_not_before {
            return Ok(Slice::Empty);
        }
        state.digests.expire(policy, now);
        let Some((key, mut event)) = state.digests.due(policy, now) else {
            return Ok(Slice::Empty);
        };
        event.names = event.vulnerability().map(|name| names_of(&self.core.world(), name)).unwrap_or_default();
        if let Some(bucket) = &mut self.bucket
            && let Err(pause) = bucket.take(1, now)
        {
            return Ok(Slice::Wait(pause));
        }
        let id = event.id.clone();
        // A summary that cannot be dated counts as of now.
        let happened = Timestamp::parse(event.text("/time")).unwrap_or(now);
        match self.target.deliver(&[Message::plain(event)]).pop() {
            None | Some(Ok(())) => {}
            Some(Err(error)) => {
                self.core.meters.not_delivered(self.target.name());
                let (asked, _, refused) = facts(&error);
                let retry = self.plan.record.retry;
                if !refused && !retry.is_over(happened, now) {
                    self.summary_not_before = now.plus(retry.pause(ATTEMPTS_IN_PLACE, asked, &id));
                    return Ok(Slice::Empty);
                }
                tracing::error!(target_name = self.target.name(), %error, "a summary was given up");
            }
        }
        state.digests.told(&key);
        self.settle(state, &[], &[])?;
        Ok(Slice::Served)
    }
}

enum Prepared {
    Nothing,
    Message(Box<Message>),
    Dead(Box<Letter>),
}

/// Where a lane's part stands in what is kept for each.
const fn index(lane: Lane) -> usize {
    match lane {
        Lane::Urgent => 0,
        Lane::Ordinary => 1,
    }
}

/// Of a failure: the pause asked for, whether the receiver may have it, whether it will never take it.
const fn facts(error: &DeliveryError) -> (Option<Duration>, bool, bool) {
    match error {
        DeliveryError::Retry { after, uncertain, .. } => (*after, *uncertain, false),
        DeliveryError::Refused(_) => (None, false, true),
        _ => (None, false, false),
    }
}

impl Reconciler for Deliver {
    fn name(&self) -> &'static str {
        "deliver"
    }

    fn reconcile(&mut self) -> Result<Outcome, ServerError> {
        if self.due().is_some() {
            return Ok(Outcome::Unchanged);
        }
        let mut state = self.load()?;
        step("deliver: loaded");
        // After an error what we hold may be ahead of the store: it is read again.
        let outcome = self.run(&mut state)?;
        self.state = Some(state);
        Ok(outcome)
    }

    fn due(&self) -> Option<Duration> {
        let millis = self.not_before.as_millis().saturating_sub(self.core.now().as_millis());
        u64::try_from(millis).ok().filter(|millis| *millis > 0).map(Duration::from_millis)
    }
}

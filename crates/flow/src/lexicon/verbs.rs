//! Verbs by what they do, their irregular forms, and which of them mean alike or the opposite.

use super::lists::List;
use super::{CREATE, DELETE, Deeds, MODIFY, OBEY, PAY, READ, RESERVE, RUN, SEND, SHARE, VISIT};

/// Verbs in their base form, by what they do. A word may stand in several lines.
pub(super) const VERBS: &[(Deeds, &str)] = &[
    (
        SEND,
        "hand send email mail message text dm write reply respond answer forward notify tell inform remind contact ping post \
     publish announce tweet broadcast comment ask thank congratulate apologise apologize share submit deliver dispatch relay \
     drop shoot fax call chat whatsapp slack communicate page emit push pass cc bcc upload resend say alert warn \
     confirm acknowledge transmit redirect export leave give let \
     efile circulate distribute brief advise escalate report refer phone telephone ring buzz nudge chase serve \
     lodge sms retweet repost reshare crosspost syndicate air welcome greet wish enquire inquire apply rsvp \
     pitch present propose offer quote disclose release ship return issue bill invoice courier",
    ),
    (
        SHARE,
        "share invite add grant give permit authorise authorize assign allow expose publish enrol enroll subscribe \
     onboard admit collaborate loop include bring transfer delegate \
     entrust entitle empower release readmit seat enlist",
    ),
    (
        CREATE,
        "upsert create make add new book schedule arrange organise organize plan open register save write generate draft put \
     log record upload insert post set compose note jot store file prepare produce build start setup provision enter \
     raise submit launch copy duplicate clone comment track capture issue import reserve block pencil append place \
     fill request attach compile do get order enrol enroll \
     bill invoice docket minute generate establish form introduce launch author pen diarise diarize timetable \
     roster enlist catalogue catalog index itemise itemize tabulate journal hire recruit spin instantiate init \
     initialise initialize allocate mint print input key type fork branch commit snapshot backup replicate \
     sketch design plot lodge efile report declare quote advertise list post propose nominate devise apply \
     commission stock scan",
    ),
    (
        RESERVE,
        "book reserve schedule arrange order rent hire request organise organize plan get fix block hold pencil sort \
     make place set secure buy purchase find slot \
     lease charter engage",
    ),
    (
        PAY,
        "pay transfer wire refund reimburse settle repay donate tip charge purchase buy order remit deposit withdraw \
     invest compensate credit debit bill subscribe checkout \
     disburse prepay topup fund finance sponsor lend contribute split remunerate reward payout cover clear \
     advance release",
    ),
    (
        MODIFY,
        "hand take upsert update change edit modify set adjust move reschedule postpone rename replace fix correct increase raise \
     decrease lower reduce switch turn toggle mark label tag assign reassign enable disable activate deactivate lock \
     unlock open start stop restart reboot resize scale append insert extend attach approve reject accept decline \
     complete reopen pin mute unmute dim brighten warm heat cool upgrade downgrade add put close merge write save push \
     hide unhide show mask delay shift swap rearrange patch configure convert archive unarchive resolve star flag bump amend revise alter \
     advance escalate make transfer complete bring cancel drop prioritise prioritize link shut arm disarm pause resume \
     play note record log apply rebook reset restore tidy rotate cut double halve extend prolong fill sort switch \
     refund tick check submit keep give hold leave set sign schedule promote demote crank stick clean group translate \
     deescalate reprioritise reprioritize reroute reword rephrase rewrite reformat reprice restock \
     recategorise recategorize reclassify relabel redirect retag redo tweak repair mend refresh renew shorten \
     trim expand widen narrow flip substitute exchange redline proofread polish expedite hasten defer progress \
     suspend reinstate revert rollback undo retire deprecate freeze unfreeze release quarantine whitelist \
     blacklist blocklist allowlist unflag untag unstar categorise categorize classify grade score rate rank \
     triage route allocate reallocate redistribute rebalance deduct increment decrement triple boost discount \
     price clear authorise authorize countersign endorse ratify veto refuse deny greenlight okay sanction \
     certify confirm acknowledge finish finalise finalize conclude settle fulfil fulfill honour honor excuse \
     waive forgive exempt discharge relocate migrate transition shelve stash stock replenish receive reconcile \
     match unsuspend snooze register unpublish publish rectify staff substitute feature unpin embargo mark install deploy uninstall pair unpair sync wire sign log clock enter verify validate lodge \
     roll rename redact anonymise anonymize tune configure step bring knock slash hike cap stow putaway split block admit enrol enroll \
     readmit cover issue recall return pull correct",
    ),
    (
        DELETE,
        "take delete remove cancel drop erase clear kick ban revoke unsubscribe terminate stop trash discard purge destroy \
     wipe empty unshare uninstall detach expel evict deprovision close withdraw void unassign deregister scrap axe bin \
     prune archive delist eliminate dismiss block shut nuke rid remove clean cleanup tidy declutter dedupe deduplicate \
     free throw \
     retract unpublish pull ditch dump shred burn nix zap kill abort abandon quash annul invalidate rescind \
     repeal recall disconnect unlink unpair decommission retire offboard fire sack banish oust suspend \
     blacklist blocklist bar unregister unenrol unenroll disenrol disenroll unfollow \
     unfriend unlike untag strike blank flush drain strip eject vacate end discontinue cease halt reject \
     redact sweep weed",
    ),
    (
        RUN,
        "run execute deploy launch start invoke trigger install eval evaluate exec perform restart shell compile \
     rerun retry kick fire boot reboot trigger build",
    ),
    (
        VISIT,
        "visit open go click navigate browse follow load download fetch get read check see access view look retrieve crawl \
     scrape request enter surf curl use",
    ),
    (
        READ,
        "get list read search find fetch show view check look lookup query count describe retrieve browse display inspect \
     monitor download calculate compute summarise summarize compare analyse analyze verify validate preview watch load \
     peek scan extract locate determine filter explain review give tell track status who what when where which how is \
     are does did was were has have see identify translate retrieve poll select whoami head ls cat grep stat dump \
     convert rank sort rate open return \
     audit survey study examine explore investigate research diagnose gauge measure estimate forecast predict \
     assess judge tally total sum average outline recap digest paraphrase quote cite define enumerate itemise \
     itemize detail trace spot pinpoint observe diff contrast match brief",
    ),
    (
        OBEY,
        "do perform execute complete follow handle process act implement carry work tackle action sort deal address \
     run finish resolve",
    ),
];

/// Forms that no rule makes, with their base.
pub(super) const IRREGULAR: &[(&str, &str)] = &[
    ("sent", "send"),
    ("paid", "pay"),
    ("wrote", "write"),
    ("written", "write"),
    ("made", "make"),
    ("bought", "buy"),
    ("told", "tell"),
    ("gave", "give"),
    ("given", "give"),
    ("left", "leave"),
    ("took", "take"),
    ("taken", "take"),
    ("got", "get"),
    ("gotten", "get"),
    ("held", "hold"),
    ("found", "find"),
    ("read", "read"),
    ("put", "put"),
    ("set", "set"),
    ("cut", "cut"),
    ("shut", "shut"),
    ("kept", "keep"),
    ("done", "do"),
    ("withdrawn", "withdraw"),
    ("rebuilt", "rebuild"),
    ("built", "build"),
    ("ran", "run"),
    ("said", "say"),
    ("chosen", "choose"),
    ("forgotten", "forget"),
    ("brought", "bring"),
    ("lent", "lend"),
    ("spun", "spin"),
    ("rewrote", "rewrite"),
    ("rewritten", "rewrite"),
    ("undone", "undo"),
    ("redone", "redo"),
    ("frozen", "freeze"),
    ("forgiven", "forgive"),
    ("struck", "strike"),
    ("rung", "ring"),
    ("thrown", "throw"),
    ("drawn", "draw"),
    ("went", "go"),
    ("gone", "go"),
    ("saw", "see"),
    ("seen", "see"),
];

/// Nouns of what verbs do, for "make a reservation".
pub(super) const NOMINAL: &[(&str, &str)] = &[
    ("reservation", "reserve"),
    ("booking", "book"),
    ("appointment", "book"),
    ("payment", "pay"),
    ("refund", "refund"),
    ("order", "order"),
    ("transfer", "transfer"),
    ("cancellation", "cancel"),
    ("change", "change"),
    ("update", "update"),
    ("call", "call"),
    ("reply", "reply"),
    ("invitation", "invite"),
    ("comment", "comment"),
    ("purchase", "purchase"),
    ("donation", "donate"),
    ("deletion", "delete"),
    ("correction", "correct"),
    ("post", "post"),
    ("note", "add"),
    ("shipment", "ship"),
    ("delivery", "deliver"),
    ("claim", "claim"),
    ("complaint", "complain"),
    ("appeal", "appeal"),
    ("approval", "approve"),
    ("rejection", "reject"),
    ("extension", "extend"),
    ("renewal", "renew"),
    ("upgrade", "upgrade"),
    ("replacement", "replace"),
    ("repair", "repair"),
    ("announcement", "announce"),
    ("notice", "notify"),
    ("withdrawal", "withdraw"),
    ("removal", "remove"),
    ("submission", "submit"),
    ("registration", "register"),
    ("enrolment", "enrol"),
    ("enrollment", "enroll"),
    ("assignment", "assign"),
    ("escalation", "escalate"),
    ("reminder", "remind"),
    ("report", "report"),
    ("request", "request"),
    ("promotion", "promote"),
    ("adjustment", "adjust"),
    ("edit", "edit"),
];

/// Verbs of which one undoes the other.
pub(super) const OPPOSITES: &[(&str, &str)] = &[
    ("open", "close"),
    ("open", "shut"),
    ("start", "stop"),
    ("approve", "reject"),
    ("accept", "decline"),
    ("accept", "reject"),
    ("increase", "decrease"),
    ("raise", "lower"),
    ("promote", "demote"),
    ("close", "reopen"),
    ("pause", "resume"),
    ("complete", "reopen"),
    ("attach", "detach"),
    ("upgrade", "downgrade"),
    ("show", "hide"),
    ("assign", "unassign"),
    ("deposit", "withdraw"),
    ("heat", "cool"),
    ("extend", "cut"),
    ("extend", "shorten"),
    ("approve", "decline"),
    ("approve", "deny"),
    ("approve", "refuse"),
    ("grant", "revoke"),
    ("grant", "deny"),
    ("activate", "suspend"),
    ("reinstate", "suspend"),
    ("freeze", "release"),
    ("hold", "release"),
    ("hire", "fire"),
    ("publish", "retract"),
    ("enable", "suspend"),
    ("block", "allow"),
    ("expand", "trim"),
    ("check", "uncheck"),
];

/// Verbs that a little word makes another of.
pub(super) const PHRASAL: &[(&str, &str, Deeds, &str)] = &[
    ("call", "off", DELETE, "cancel"),
    ("take", "offline", DELETE | MODIFY, "remove"),
    ("take", "down", DELETE | MODIFY, "remove"),
    ("come", "down", DELETE | MODIFY, "remove"),
    ("come", "off", DELETE | MODIFY, "remove"),
    ("put", "online", SEND | CREATE | MODIFY, "publish"),
    ("get", "online", SEND | CREATE | MODIFY, "publish"),
    ("bring", "online", SEND | CREATE | MODIFY, "publish"),
    ("go", "live", SEND | CREATE | MODIFY, "publish"),
    ("go", "online", SEND | CREATE | MODIFY, "publish"),
    ("write", "off", DELETE | MODIFY, "scrap"),
    ("write", "down", CREATE | MODIFY, "record"),
    ("write", "up", CREATE | MODIFY, "write"),
    ("strike", "off", DELETE, "remove"),
    ("strike", "out", DELETE, "remove"),
    ("throw", "out", DELETE, "delete"),
    ("throw", "away", DELETE, "delete"),
    ("clear", "out", DELETE, "clear"),
    ("sign", "off", MODIFY, "approve"),
    ("sign", "up", SHARE | CREATE, "register"),
    ("turn", "down", MODIFY, "reject"),
    ("turn", "in", SEND | CREATE, "submit"),
    ("hand", "in", SEND | CREATE, "submit"),
    ("hand", "over", SHARE | MODIFY, "transfer"),
    ("put", "off", MODIFY, "postpone"),
    ("put", "aside", RESERVE | CREATE, "reserve"),
    ("set", "aside", RESERVE | CREATE, "reserve"),
    ("put", "back", MODIFY, "move"),
    ("push", "back", MODIFY, "postpone"),
    ("bring", "forward", MODIFY, "reschedule"),
    ("lock", "out", MODIFY | DELETE, "lock"),
    ("kick", "out", DELETE, "remove"),
    ("kick", "off", RUN | CREATE, "start"),
    ("note", "down", CREATE | MODIFY, "record"),
    ("top", "up", PAY, "topup"),
    ("pop", "in", RESERVE | CREATE, "book"),
    ("squeeze", "in", RESERVE | CREATE, "book"),
    ("slot", "in", RESERVE | CREATE, "book"),
    ("fit", "in", RESERVE | CREATE, "book"),
    ("pencil", "in", RESERVE | CREATE, "book"),
    ("follow", "up", SEND, "write"),
    ("chase", "up", SEND, "remind"),
    ("get", "hold", SEND, "contact"),
    ("get", "touch", SEND, "contact"),
    ("put", "hold", MODIFY, "hold"),
    ("place", "hold", MODIFY, "hold"),
    ("wrap", "up", MODIFY, "complete"),
    ("phase", "out", MODIFY | DELETE, "retire"),
    ("roll", "back", MODIFY, "rollback"),
    ("roll", "out", MODIFY | RUN, "deploy"),
    ("cross", "off", MODIFY | DELETE, "complete"),
    ("tick", "off", MODIFY, "complete"),
    ("mark", "down", MODIFY, "discount"),
];

/// Verbs that mean much the same, of things that are alike.
pub(super) const ALIKE: &[&str] = &[
    "send email mail message text dm write drop shoot fire",
    "tell inform notify message alert warn brief advise remind page ping",
    "reply respond answer comment",
    "create make add new open raise file log register lodge enter record generate draft",
    "add put enter insert append attach include",
    "buy order purchase add",
    "update change edit modify amend revise correct fix adjust set alter tweak redline replace rewrite save store",
    "set change bump raise lower adjust increase decrease prioritise prioritize escalate",
    "delete remove erase bin trash scrap ditch purge clear wipe drop take throw discard",
    "cancel void withdraw revoke rescind annul terminate end call",
    "approve accept authorise authorize confirm clear greenlight sanction okay endorse",
    "reject decline deny refuse turn veto",
    "assign give hand delegate allocate transfer pass route escalate refer move",
    "close resolve complete finish finalise finalize settle conclude solve end mark",
    "publish post announce release put share run issue",
    "share give grant invite let allow admit add",
    "book reserve schedule arrange plan",
    "move reschedule rebook postpone shift push delay defer bring relocate transfer",
    "pay transfer wire remit disburse settle",
    "order buy purchase checkout requisition",
    "give extend change move postpone",
    "deactivate disable suspend offboard lock block",
    "activate enable reinstate reactivate unlock",
    "install deploy push roll",
    "mark flag tag label set",
    "grade mark score rate record post enter",
    "enrol enroll register admit add sign",
    "extend prolong renew lengthen change",
    "bill invoice charge issue",
    "ship send dispatch deliver",
    "reroute redirect divert forward send",
    "stow putaway store shelve put stash",
    "block quarantine hold suspend freeze lock stop pause",
    "release free unblock unfreeze resume",
    "reserve assign book allocate hold",
    "scrap discard dispose destroy delete",
];

/// Who does one of these says something to somebody, and no more.
pub(super) static TELLING: List = List::new(
    "tell inform notify remind write reply respond answer message email mail text dm ask thank say warn alert ping \
     congratulate apologise apologize call phone advise brief nudge chase greet welcome wish comment",
);

/// What lets somebody in, or hands over the thing itself.
pub(super) static LETTING_IN: List = List::new(
    "share grant invite assign allow permit authorise authorize expose publish enrol enroll subscribe admit delegate \
     transfer entitle empower onboard add give",
);

//! Lists of small words: what stands before an order, what asks, what refers, what is of many. General English.

use std::collections::HashSet;
use std::sync::OnceLock;

/// Words to look up, written as one text.
pub(crate) struct List {
    text: &'static str,
    set: OnceLock<HashSet<&'static str>>,
}

impl List {
    pub(super) const fn new(text: &'static str) -> List {
        List { text, set: OnceLock::new() }
    }

    /// Whether the word is among them.
    pub(crate) fn has(&self, word: &str) -> bool {
        self.set.get_or_init(|| self.text.split_whitespace().collect()).contains(word)
    }
}

/// Words that are nouns as often as verbs: after "the" or "an" they order nothing.
pub(crate) static NOUNS_TOO: List = List::new(
    "email mail message text dm reply answer comment post tweet call chat page book schedule plan file \
    record log note draft order rent request tip charge purchase deposit transfer wire refund credit bill update change \
    fix set switch label tag mark lock start stop extension close patch flag link cut transfer address work document \
    check view list search show look count display review issue share run build invite hold block place copy track \
    alert status query return read head cat stat star pin new text action process complete whatsapp slack sort head \
    open empty clear void warm cool dim double cover shift swap drop push slot play pause export import present \
    upload download transfer dispatch advance sign use rate rank visit project request report contact archive \
    purchase increase decrease raise double notice title thank total leave hire handle cover \
    bill invoice docket minute index catalog catalogue roster brief report pitch offer quote ring phone nudge chase grade score \
    price discount boost trim fork branch commit snapshot backup design plot sketch journal fund loan lease reward split match stock \
    feature embargo fire bar end trash dump strike recall staff ship input key type form print lead step group star fax sms \
    wish advance release store detail sum average estimate forecast survey study research audit tally outline digest recap \
    measure gauge trace spot diff contrast pair rota sanction exempt progress exchange substitute repair author scan deposit \
    clock roll cap hike kick fire boot slot seat serve air sack zap blank strip drain access act \
    burn buzz bump capture charter clean click clone commission courier crawl deal debit delay edit filter finance finish follow \
    forward free grant halt hand heat install invest kill knock launch load loop mask merge monitor move narrow pass pay payout \
    peek permit poll preview prune pull purge register relay reset restart retry route save scale scrap secure setup sponsor \
    stick sweep sync tick toggle trigger triple tune turn tweak upgrade watch welcome timetable broadcast",
);

/// What stands before a verb that is an order.
pub(crate) static BEFORE_ORDER: List = List::new(
    "somebody someone anyone anybody please pls plz please, to and then or also you u we let's lets just now so but kindly first finally \
    next must should shall will would could can gonna help me ahead don't & afterwards quickly immediately directly \
    simply thanks cheers maybe perhaps additionally lastly otherwise ok okay hi hey hello it's not actually automatically \
    i'll urgently secondly thirdly",
);

/// What stands before "to" and a verb that is wished for; "the link to reset it" wishes for nothing.
pub(crate) static BEFORE_TO: List = List::new(
    "want wants need needs needed like love have has you remember forget sure try trying me us able wish \
    hope plan planning looking prefer supposed is be task job goal order going asked required instructed necessary possible better wise \
    as good great helpful fantastic lovely ready mind appreciate us required proceed again continue",
);

/// Verbs that say nothing by themselves.
pub(crate) static LIGHT: List = List::new("make do have place put get give take receive need want raise issue");

/// What is said of money.
pub(crate) static MONEY: List =
    List::new("euro euros dollar dollars pound pounds usd eur gbp chf bucks quid money cash amount payment");

/// States of things that are wished for without a verb.
pub(crate) static STATES: List = List::new("off on up down out shut open locked unlocked closed");

/// What leads away from what an order acts on.
pub(crate) static ASIDES: List = List::new(
    "after before once while of about from with for that who which because regarding based mentioned named called titled saying concerning \
    where when if so since as",
);

/// What begins a statement of its own.
pub(crate) static SUBJECTS: List = List::new(
    "he she they we i it there this he's she's they're we're i'm it's there's that's i've we've he'd she'd they've he'll \
    she'll they'll it'll",
);

/// What leads back to it.
pub(crate) static DIRECT: List = List::new("to into onto via by and then");

/// What somebody or something is in need of.
pub(crate) static IN_NEED: List =
    List::new("need needs needed want wants wanted like be get getting have having must should requires require");

/// What leaves a value to something that is read.
pub(crate) static REFERENCE: List = List::new(
    "suggests suggested suggest mentioned mentions mention specified specifies according based listed indicated stated \
    described details detail contained noted requested proposed proposes given named attached enclosed accordingly \
    whatever instructions same",
);

/// Where it may stand.
pub(crate) static SOURCES: List = List::new(
    "email mail message letter file document note page website site post notice chat thread channel inbox chart record \
    board list invoice bill attachment report pdf txt docx csv spreadsheet minute profile ticket issue comment description \
    calendar event transaction statement contact book link url blog article agreement contract memo policy guide manual \
     wiki form sheet checklist schedule brief briefing quote offer order ad advert flyer brochure certificate report log \
     transcript application cv resume proposal datasheet readme card text",
);

/// What stands before a form in "-ing" that is wished for.
pub(crate) static BEFORE_ING: List =
    List::new("fancy mind about consider start appreciate suggest try by keep like on");

/// What wishes for something.
pub(crate) static WISHING: List = List::new(
    "fancy need needs want wants like love please pls plz require requires should must let's can could would due owe \
    owes wish get give deserves gets",
);

/// Verbs of seeing: who needs to do so needs to be let in.
pub(crate) static SEEING: List = List::new("see view read access edit open use join watch follow look download");

/// What a verb in its base form may belong to, so that it orders nothing.
pub(crate) static NO_ORDER_AFTER: List = List::new(
    "to i you we they who which that what can could will would should must may might shall do does did don't doesn't \
    didn't not won't can't cannot let make help people and or of in on at for with by from about as than i'd you'd we'd \
    they'd i'll you'll we'll they'll he'd she'd he'll she'll a the no any",
);

/// Little words that stand between a thing and its place.
pub(crate) static PREPOSITIONS: List =
    List::new("to for in on at of with from by about into onto under over until till per via before after");

/// Verbs of making that what is made stands behind: `create_shipment` ships.
pub(crate) static MAKING: List = List::new(
    "create make do add new place put submit raise book file open start request send issue generate record log",
);

/// What a tool shows that is called by it.
pub(crate) static VIEWS: List = List::new(
    "profile details detail info information status history summary overview balance statement availability inventory \
     forecast weather directory metrics stats analytics timeline feed roster agenda dashboard leaderboard diff usage data \
     list metadata version health progress whereabouts location catalogue catalog stock report schedule log index record \
     calendar rota",
);

/// What makes of a sentence a question about facts.
pub(crate) static ASKING: List = List::new(
    "who what when where which how why whose did does do is are was were has have had am whom what's who's \
    where's when's how's isn't aren't whats",
);

/// What makes of a sentence a statement.
pub(crate) static TELLING: List = List::new(
    "is are was were has had did am been it's there's that's i'm i've he's she's they're we're he she they we it i \
    you who that which said says received",
);

/// What stands before a noun.
pub(crate) static DETERMINERS: List =
    List::new("the a an my his her their our your this that these those all every each it them some");

/// Verbs of doing what something says.
pub(crate) static HANDLING: List = List::new("handle deal process resolve address tackle action act follow");

/// What may say what is to be done.
pub(crate) static MATTERS: List =
    List::new("email mail message letter issue ticket request notice notification reminder form memo");

/// More than one is meant.
pub(crate) static MANY: List = List::new(
    "each every all everyone everybody both them these those any multiple several everything they remaining rest \
    various individually list ones few couple pair others",
);

/// Open orders: what is to be done stands elsewhere.
pub(crate) static ERRANDS: List = List::new(
    "procedure procedures guide guidelines guideline walkthrough workflow readme manual protocol tutorial recipe \
    task tasks action actions todo todos to-do to-dos instruction instructions step steps item items thing \
    things request requests everything errand errands checklist chore chores work what whatever point points jobs it",
);

/// Where something may stand that is to be done.
pub(crate) static PLACES: List = List::new(
    "in on at from of per by described specified listed given mentioned outlined contained set says asks wants \
    requested requests asked said tells written i my his her their our there she he they bob's",
);

/// Little words that are no verbs.
pub(crate) static STOP: List = List::new(
    "the and but for nor yet with without about above after again against because before below between down during \
    each few from further here once only other our ours over same some such than that their theirs there these this those \
    through under until very was were your yours his her hers him its whose while also any both more most own too still \
    already always never often ever maybe soon today tomorrow tonight yesterday later now instead else even back away \
    one two three four five six seven eight nine ten first second third last next much many lot little good great best \
    new old early late high low long short sure free able ready sorry thanks yes not none nothing something anything",
);

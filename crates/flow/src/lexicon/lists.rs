//! Lists of small words: what stands before an order, what asks, what refers, what is of many. General English.

use std::collections::HashSet;
use std::sync::OnceLock;

/// Words to look up, written as one text.
pub(crate) struct List {
    text: &'static str,
    set: OnceLock<HashSet<&'static str>>,
}

impl List {
    const fn new(text: &'static str) -> List {
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
    purchase increase decrease raise double notice title thank total leave hire handle cover",
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
    hope plan planning looking prefer supposed is be task job goal order going asked required instructed necessary \
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
    calendar event transaction statement contact book link url blog article",
);

/// What stands before a form in "-ing" that is wished for.
pub(crate) static BEFORE_ING: List =
    List::new("fancy mind about consider start appreciate suggest try by keep like on");

/// What wishes for something.
pub(crate) static WISHING: List = List::new(
    "fancy need needs want wants like love please pls plz require requires should must let's can could would due owe \
    owes wish get give deserves gets",
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

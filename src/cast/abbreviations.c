/* abbreviations.c - lists of words, in lower case, and initials (see abbreviations.h). A word that is also said by itself
 * at the end of a sentence ("no", "art") stands among those that only a number continues. */
#include "cast/abbreviations.h"

#include "cast/letters.h"

#include <string.h>
#include <utf8proc.h>

/* Words stand between spaces. */
static const char titles[] = /* with a capital */
    " mr mrs ms dr prof st ste gen col capt cpt lt maj sgt cmdr adm rev fr hon sen rep gov pres supt mt messrs mx"
    " hr hrn frl mme mlle mm me sr sra srta srs ud uds vd sig sigg avv ing dott exmo exma dra dhr mevr ";
static const char inside[] =
    " vs e.g i.e eg ie cf viz approx resp incl excl esp messrs"
    " bzw z.b d.h u.a o.ä s.o s.u v.a z.t u.u evtl ggf sog inkl zzgl"
    " c.-à-d p.ex p.ej ee.uu sig.ra dott.ssa dr.a sr.a"
    " т.е т.к т.н г-н г-жа ул проф акад тов"
    " bijv o.a d.w.z np tzw prof inż t.d.s bl.a f.eks ";
static const char number[] =
    " no nos nº fig figs p pp vol vols ch chap sec art par ed eq ex op ver v n"
    " ca kl nr jan feb mar apr jun jul aug sep sept oct nov dec abb bd kap s seite pag págs pág núm стр рис гл ";
static const char open_ended[] =
    " etc jr snr inc ltd co corp bros dept univ est a.m p.m a.d b.c ph.d m.d b.a m.a"
    " usw usf etc. u.s.w o.k allg и.т.д т.д т.п др пр "
    " fa e.v gmbh cie itd itp ";
static const char starters[] =
    " the a an he she it they we you i this that these those there here his her its their our my your in on at if when"
    " then but and so or now yes no what who why how where is are was were do did does not let please once after before ";
static const char months[] =
    " januar jänner februar märz april mai juni juli august september oktober november dezember jahrhundert jh ";

static int listed(const char *list, const char *word, size_t len)
{
    char key[40];
    if (len == 0 || len + 2 > sizeof key - 1 || memchr(word, ' ', len) != NULL) return 0;
    key[0] = ' ';
    memcpy(key + 1, word, len);
    memcpy(key + 1 + len, " ", 2);
    return strstr(list, key) != NULL;
}

/* In lower case; returns the length, 0 if it is too long for a list. */
static size_t lowered(char *to, size_t cap, const char *word, size_t len)
{
    vb_reading r = vb_reading_of(word, len, 1);
    size_t n = 0, step;
    for (size_t at = 0; at < len; at += step) {
        uint32_t c = vb_read(&r, at, &step);
        if (n + 4 > cap || c == VB_NO_LETTER) return 0;
        n += (size_t)utf8proc_encode_char(utf8proc_tolower((utf8proc_int32_t)c), (utf8proc_uint8_t *)to + n);
    }
    return n;
}

/* Capitals with full stops between them, at least one: "J", "U.S", "J.R.R". The word "I" is none. */
static int are_initials(const char *word, size_t len)
{
    vb_reading r = vb_reading_of(word, len, 1);
    size_t step, letters = 0;
    for (size_t at = 0; at < len; at += step) {
        uint32_t c = vb_read(&r, at, &step);
        if (c == '.') continue;
        if (!vb_is_upper(c) || (at > 0 && word[at - 1] != '.')) return 0;
        letters++;
    }
    return letters > 1 || (letters == 1 && len <= 2 && word[0] != 'I');
}

vb_abbr vb_abbr_of(const char *word, size_t len)
{
    char low[40];
    size_t n = lowered(low, sizeof low, word, len);
    if (n == 0) return VB_ABBR_NONE;
    if (listed(open_ended, low, n)) return VB_ABBR_OPEN;
    if (are_initials(word, len)) return VB_ABBR_INITIALS;
    if (listed(inside, low, n)) return VB_ABBR_INSIDE;
    if (listed(titles, low, n) && memcmp(low, word, n) != 0) return VB_ABBR_INSIDE;
    return listed(number, low, n) ? VB_ABBR_NUMBER : VB_ABBR_NONE;
}

static int low_listed(const char *list, const char *word, size_t len)
{
    char low[40];
    return listed(list, low, lowered(low, sizeof low, word, len));
}

int vb_abbr_starts(const char *word, size_t len)
{
    return low_listed(starters, word, len);
}

int vb_abbr_month(const char *word, size_t len)
{
    return low_listed(months, word, len);
}

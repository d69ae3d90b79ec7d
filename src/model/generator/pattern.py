"""Compiles a pattern of AWS's models to a deterministic automaton over classes of bytes.

The patterns are Java's, matched against the whole text. Python's own parser reads them; what it does not know (\\p{L},
\\uXXXX) is rewritten first. All bytes from 0x80 up behave alike: a class of characters holds them when it reaches
outside ASCII.

A look-ahead is an obligation that a thread of the automaton carries on with it, as a state of the look-ahead's own automaton.
"""

import re

try:
    from re import _constants as constants, _parser as parser
except ImportError:  # before Python 3.11
    import sre_constants as constants
    import sre_parse as parser

OTHER = 0x80  # stands for every byte that is not ASCII
ALPHABET = range(0x81)
STATES_MAX = 4096


ENDS = (constants.AT_BEGINNING, constants.AT_BEGINNING_STRING, constants.AT_END, constants.AT_END_STRING)


class Unsupported(Exception):
    pass


def rewrite(pattern):
    properties = {
        "L": "a-zA-Z\x80", "Ll": "a-z\x80", "Lu": "A-Z\x80", "N": "0-9\x80", "Nd": "0-9\x80", "Z": " \x80", "Zs": " \x80", "S": "$+<=>^`|~\x80",
        "P": "!-#%-*,-/:;?@\\[-\\]_{}\x80", "M": "\x80", "C": "\x00-\x1f\x7f\x80", "Graph": "!-~", "Print": " -~",
        "ASCII": "\x00-\x7f", "Alnum": "a-zA-Z0-9", "Alpha": "a-zA-Z", "Digit": "0-9",
    }
    out, inside, i = [], False, 0
    while i < len(pattern):
        match = re.match(r"\\p\{(\w+)\}", pattern[i:])
        if match:
            content = properties[match.group(1).removeprefix("Is")]
            out.append(content if inside else f"[{content}]")
            i += match.end()
            continue
        match = re.match(r"\\u([0-9A-Fa-f]{4,5})", pattern[i:]) or re.match(r"\\x\{([0-9A-Fa-f]+)\}", pattern[i:])
        if match:
            out.append(f"\\x{min(int(match.group(1), 16), OTHER):02x}")
            i += match.end()
            continue
        if pattern[i] == "\\":
            out.append(pattern[i : i + 2])
            i += 2
            # Java reads [\\w-x] as three things, Python as a range.
            if inside and out[-1][1] in "wds" and pattern[i : i + 1] == "-":
                out.append("\\-")
                i += 1
            continue
        if pattern[i] == "[":
            inside = True
        elif pattern[i] == "]":
            inside = False
        out.append(pattern[i] if ord(pattern[i]) < OTHER else "\x80")
        i += 1
    return "".join(out)


def category(name):
    table = {
        constants.CATEGORY_DIGIT: r"\d", constants.CATEGORY_NOT_DIGIT: r"\D", constants.CATEGORY_SPACE: r"\s",
        constants.CATEGORY_NOT_SPACE: r"\S", constants.CATEGORY_WORD: r"\w", constants.CATEGORY_NOT_WORD: r"\W",
    }
    return {c for c in ALPHABET if re.match(table[name], chr(c), re.ASCII)}


class Automaton:
    """Thompson's construction; states are numbers, edges carry a set of symbols or nothing."""

    def __init__(self):
        self.free = []   # state -> states reached without a symbol
        self.edges = []  # state -> [(symbols, state)]
        self.checks = []  # state -> [(look-ahead, state)]

    def state(self):
        self.free.append([])
        self.edges.append([])
        self.checks.append([])
        return len(self.free) - 1

    def add(self, items, start):
        for op, argument in items:
            start = self.one(op, argument, start)
        return start

    def symbols(self, op, argument):
        if op is constants.LITERAL:
            return {min(argument, OTHER)}
        if op is constants.NOT_LITERAL:
            return set(ALPHABET) - {argument}
        if op is constants.ANY:
            return set(ALPHABET) - {10, 13}
        if op is constants.IN:
            chosen, negated = set(), False
            for inner, value in argument:
                if inner is constants.NEGATE:
                    negated = True
                elif inner is constants.RANGE:
                    chosen |= set(range(min(value[0], OTHER), min(value[1], OTHER) + 1))
                elif inner is constants.CATEGORY:
                    chosen |= category(value)
                else:
                    chosen |= self.symbols(inner, value)
            # Outside ASCII a negated class holds nearly everything, whatever it names there.
            return (set(ALPHABET) - chosen) | {OTHER} if negated else chosen
        return None

    def one(self, op, argument, start):
        symbols = self.symbols(op, argument)
        if symbols is not None:
            end = self.state()
            self.edges[start].append((frozenset(symbols), end))
            return end
        if op is constants.AT and argument in ENDS:
            return start  # the whole text is matched anyway
        if op in (constants.ASSERT, constants.ASSERT_NOT) and argument[0] == 1:
            end = self.state()
            self.checks[start].append((LookAhead(argument[1], op is constants.ASSERT_NOT), end))
            return end
        if op is constants.SUBPATTERN:
            return self.add(argument[3], start)
        if op is constants.BRANCH:
            end = self.state()
            for branch in argument[1]:
                first = self.state()
                self.free[start].append(first)
                self.free[self.add(branch, first)].append(end)
            return end
        if op in (constants.MAX_REPEAT, constants.MIN_REPEAT):
            least, most, items = argument
            for _ in range(least):
                start = self.add(items, start)
            end = self.state()
            if most is constants.MAXREPEAT:
                loop = self.state()
                self.free[start].append(loop)
                self.free[self.add(items, loop)].append(loop)
                self.free[loop].append(end)
                return end
            self.free[start].append(end)
            for _ in range(most - least):
                start = self.add(items, start)
                self.free[start].append(end)
            return end
        raise Unsupported(str(op))

    def closure(self, threads):
        """All (state, obligations) that are reached without a symbol."""
        seen, work = set(threads), list(threads)
        while work:
            state, obligations = work.pop()
            reached = [(target, obligations) for target in self.free[state]]
            for look, target in self.checks[state]:
                kept = look.keep(1)
                if kept is not None:
                    reached.append((target, obligations | kept))
            for thread in reached:
                if thread not in seen:
                    seen.add(thread)
                    work.append(thread)
        return frozenset(seen)

    def step(self, threads, symbol):
        reached = set()
        for state, obligations in threads:
            targets = [t for symbols, t in self.edges[state] if symbol in symbols]
            moved = frozenset() if targets else None
            for look, at in obligations if targets else ():
                kept = look.keep(look.rows[at][symbol])
                moved = None if kept is None or moved is None else moved | kept
            if moved is not None:
                reached |= {(target, moved) for target in targets}
        return self.closure(reached)

    def parts(self):
        """The automaton's own edges and those of its look-aheads: what tells symbols apart."""
        sets = {symbols for edges in self.edges for symbols, _ in edges}
        for checks in self.checks:
            for look, _ in checks:
                sets |= look.sets
        return sets


class LookAhead:
    """What must, or must not, stand at the beginning of the rest of the text."""

    def __init__(self, items, negative):
        items = list(items)
        to_the_end = bool(items) and items[-1][0] is constants.AT and items[-1][1] in ENDS
        if not to_the_end:
            items.append((constants.MAX_REPEAT, (0, constants.MAXREPEAT, [(constants.IN, [(constants.RANGE, (0, OTHER))])])))
        table, _, transitions, self.accepting, self.sets = determined(items)
        self.rows = [[row[table[symbol]] for symbol in ALPHABET] for row in transitions]
        self.negative = negative
        # Nothing that comes can change the verdict of these.
        self.settled = {s for s in range(len(self.rows)) if set(self.rows[s]) == {s}}

    def holds(self, at):
        return bool(self.accepting[at]) != self.negative

    def keep(self, at):
        """The obligation as it goes on; empty where it is met for ever, None where it is broken for ever."""
        if at in self.settled:
            return frozenset() if self.holds(at) else None
        return frozenset({(self, at)})


def determined(items):
    """(class of each symbol, class count, next[state][class], accepting[state], the sets that tell symbols apart)."""
    nfa = Automaton()
    start = nfa.state()
    end = nfa.add(items, start)
    # Bytes that no edge tells apart share a class.
    sets = sorted(nfa.parts(), key=sorted)
    classes, table, representative = {}, [], {}
    for symbol in ALPHABET:
        table.append(classes.setdefault(tuple(symbol in s for s in sets), len(classes)))
        representative.setdefault(table[-1], symbol)
    first = nfa.closure({(start, frozenset())})
    numbers, work = {frozenset(): 0, first: 1}, [first]
    transitions = {0: [0] * len(classes)}
    while work:
        threads = work.pop()
        row = []
        for number in range(len(classes)):
            target = nfa.step(threads, representative[number])
            if target not in numbers:
                numbers[target] = len(numbers)
                work.append(target)
            row.append(numbers[target])
        transitions[numbers[threads]] = row
        if len(numbers) > STATES_MAX:
            raise Unsupported("too many states")
    accepting = [0] * len(numbers)
    for threads, number in numbers.items():
        accepting[number] = int(any(s == end and all(look.holds(at) for look, at in o) for s, o in threads))
    return table, len(classes), [transitions[i] for i in range(len(numbers))], accepting, set(sets)


def compile_pattern(pattern):
    """Returns (byte_class[256], class count, next[state][class], accepting[state]); 0 is dead, 1 the start."""
    try:
        items = parser.parse(rewrite(pattern))
    except re.error as error:
        raise Unsupported(str(error)) from error
    table, classes, transitions, accepting, _ = determined(list(items))
    return table[:OTHER] + [table[OTHER]] * (256 - OTHER), classes, transitions, accepting

# SPDX-License-Identifier: Apache-2.0
"""Utility functions over lists and dicts: grouping, merging, ordering, walking."""

from scenarios.repair._form import utility

CASES = (
    utility(
        "chunks(items, size)",
        "Cut a list or a text into pieces of size elements; the last may be shorter.",
        """
        return [items[start : start + size] for start in range(0, len(items), size)]
        """,
        ("chunks([1, 2, 3, 4, 5], 2)", [[1, 2], [3, 4], [5]]),
        ("chunks([], 3)", []),
        ("chunks([1, 2], 5)", [[1, 2]]),
        ("chunks('abcd', 3)", ["abc", "d"]),
    ),
    utility(
        "flatten(items)",
        "Return the elements of lists within lists, however deep, as one list. Only lists and\n"
        "tuples are opened.",
        """
        flat = []
        for item in items:
            if isinstance(item, (list, tuple)):
                flat.extend(flatten(item))
            else:
                flat.append(item)
        return flat
        """,
        ("flatten([1, [2, [3, (4,)]], 'ab'])", [1, 2, 3, 4, "ab"]),
        ("flatten([])", []),
        ("flatten([[], [[]]])", []),
    ),
    utility(
        "unique(items)",
        "Return items without repetitions, each where it first stood. Items need not be hashable.",
        """
        seen = []
        for item in items:
            if item not in seen:
                seen.append(item)
        return seen
        """,
        ("unique([3, 1, 3, 2, 1])", [3, 1, 2]),
        ("unique([[1], [2], [1]])", [[1], [2]]),
        ("unique('abca')", ["a", "b", "c"]),
    ),
    utility(
        "group_by_length(words)",
        "Group words by their length: a dict of the length as text to the words in the order\n"
        "given, lengths in rising order.",
        """
        groups = {}
        for word in words:
            groups.setdefault(len(word), []).append(word)
        return {str(length): groups[length] for length in sorted(groups)}
        """,
        ("group_by_length(['bb', 'a', 'cc'])", {"1": ["a"], "2": ["bb", "cc"]}),
        ("list(group_by_length(['twelve chars', 'it']))", ["2", "12"]),
        ("group_by_length([])", {}),
    ),
    utility(
        "deep_merge(base, extra)",
        "Return base with extra merged into it: dicts are merged key by key, everything else in\n"
        "extra replaces what base has. Neither argument is changed.",
        """
        merged = dict(base)
        for key, value in extra.items():
            if isinstance(value, dict) and isinstance(merged.get(key), dict):
                merged[key] = deep_merge(merged[key], value)
            else:
                merged[key] = value
        return merged
        """,
        (
            "deep_merge({'a': {'x': 1, 'y': 2}, 'b': 1}, {'a': {'y': 3}})",
            {"a": {"x": 1, "y": 3}, "b": 1},
        ),
        ("deep_merge({'a': {'x': 1}}, {'a': 2})", {"a": 2}),
        ("(lambda d: (deep_merge(d, {'a': {'z': 1}}), d))({'a': {}})", [{"a": {"z": 1}}, {"a": {}}]),
        ("deep_merge({}, {'n': None})", {"n": None}),
    ),
    utility(
        "get_path(data, path, default=None)",
        "Follow a dotted path through dicts and lists; parts that are digits index lists. Return\n"
        "default where the path leads nowhere.",
        """
        for part in path.split("."):
            if isinstance(data, dict) and part in data:
                data = data[part]
            elif isinstance(data, list) and part.isdigit() and int(part) < len(data):
                data = data[int(part)]
            else:
                return default
        return data
        """,
        ("get_path({'a': [{'b': 5}]}, 'a.0.b')", 5),
        ("get_path({'a': [1]}, 'a.1', 'none')", "none"),
        ("get_path({'a': None}, 'a', 7)", None),
        ("get_path({'a': 3}, 'a.b', 0)", 0),
        ("get_path({'1': 'x'}, '1')", "x"),
    ),
    utility(
        "flatten_keys(data)",
        "Turn dicts within dicts into one dict whose keys are joined by dots. An empty dict\n"
        "within is kept as it is.",
        """
        flat = {}
        for key, value in data.items():
            if isinstance(value, dict) and value:
                for inner, leaf in flatten_keys(value).items():
                    flat[f"{key}.{inner}"] = leaf
            else:
                flat[key] = value
        return flat
        """,
        ("flatten_keys({'a': {'b': 1, 'c': {'d': 2}}, 'e': 3})", {"a.b": 1, "a.c.d": 2, "e": 3}),
        ("flatten_keys({'a': {}})", {"a": {}}),
        ("flatten_keys({})", {}),
    ),
    utility(
        "diff_dicts(old, new)",
        "Compare two dicts: return {'added': [...], 'removed': [...], 'changed': [...]} with the\n"
        "sorted keys of each kind.",
        """
        return {
            "added": sorted(new.keys() - old.keys()),
            "removed": sorted(old.keys() - new.keys()),
            "changed": sorted(key for key in old.keys() & new.keys() if old[key] != new[key]),
        }
        """,
        (
            "diff_dicts({'a': 1, 'b': 2}, {'b': 3, 'c': 4})",
            {"added": ["c"], "removed": ["a"], "changed": ["b"]},
        ),
        ("diff_dicts({'a': 1}, {'a': 1})", {"added": [], "removed": [], "changed": []}),
        ("diff_dicts({}, {'z': 0, 'y': 0})", {"added": ["y", "z"], "removed": [], "changed": []}),
    ),
    utility(
        "merge_sorted(left, right)",
        "Merge two sorted lists into one sorted list; of equal elements left's come first.",
        """
        merged, i, j = [], 0, 0
        while i < len(left) and j < len(right):
            if right[j] < left[i]:
                merged.append(right[j])
                j += 1
            else:
                merged.append(left[i])
                i += 1
        return merged + left[i:] + right[j:]
        """,
        ("merge_sorted([1, 4], [2, 3, 9])", [1, 2, 3, 4, 9]),
        ("merge_sorted([], [1])", [1]),
        ("[type(x).__name__ for x in merge_sorted([1.0], [1])]", ["float", "int"]),
    ),
    utility(
        "rotate(items, places)",
        "Return items moved to the right by places; what falls off the end comes in front.\n"
        "Negative places move to the left.",
        """
        if not items:
            return []
        cut = -places % len(items)
        return items[cut:] + items[:cut]
        """,
        ("rotate([1, 2, 3, 4], 1)", [4, 1, 2, 3]),
        ("rotate([1, 2, 3, 4], -1)", [2, 3, 4, 1]),
        ("rotate([1, 2, 3], 7)", [3, 1, 2]),
        ("rotate([], 3)", []),
    ),
    utility(
        "windows(items, size)",
        "Return every run of size neighbouring elements, as lists, in order.",
        """
        return [items[start : start + size] for start in range(len(items) - size + 1)]
        """,
        ("windows([1, 2, 3, 4], 3)", [[1, 2, 3], [2, 3, 4]]),
        ("windows([1, 2], 3)", []),
        ("windows([5], 1)", [[5]]),
    ),
    utility(
        "top_n(scores, n)",
        "Return the n names with the highest scores from a dict of name to score, best first;\n"
        "equal scores in the order of the alphabet.",
        """
        return sorted(scores, key=lambda name: (-scores[name], name))[:n]
        """,
        ("top_n({'ann': 3, 'bob': 5, 'cat': 3}, 2)", ["bob", "ann"]),
        ("top_n({'x': 1}, 5)", ["x"]),
        ("top_n({'b': 0, 'a': 0, 'c': -1}, 3)", ["a", "b", "c"]),
    ),
    utility(
        "partition(items, limit)",
        "Return two lists: the items below limit and the others, each in the order given.",
        """
        low, high = [], []
        for item in items:
            (low if item < limit else high).append(item)
        return low, high
        """,
        ("partition([5, 1, 4, 2], 4)", [[1, 2], [5, 4]]),
        ("partition([], 1)", [[], []]),
        ("partition([3, 3], 3)", [[], [3, 3]]),
    ),
    utility(
        "transpose(rows, fill=None)",
        "Swap rows and columns of a table. Rows that are too short are filled up with fill.",
        """
        width = max((len(row) for row in rows), default=0)
        return [
            [row[column] if column < len(row) else fill for row in rows] for column in range(width)
        ]
        """,
        ("transpose([[1, 2, 3], [4, 5]], 0)", [[1, 4], [2, 5], [3, 0]]),
        ("transpose([])", []),
        ("transpose([[1]])", [[1]]),
        ("transpose([[], [1]])", [[None, 1]]),
    ),
    utility(
        "pivot(records, key, value)",
        "Collect a list of dicts into one dict: the text of record[key] to the list of\n"
        "record[value], in order. Records that lack either field are passed over.",
        """
        table = {}
        for record in records:
            if key in record and value in record:
                table.setdefault(str(record[key]), []).append(record[value])
        return table
        """,
        (
            "pivot([{'c': 'x', 'n': 1}, {'c': 'y', 'n': 2}, {'c': 'x', 'n': 3}], 'c', 'n')",
            {"x": [1, 3], "y": [2]},
        ),
        ("pivot([{'c': 1}], 'c', 'n')", {}),
        ("pivot([{'c': 1, 'n': None}], 'c', 'n')", {"1": [None]}),
    ),
    utility(
        "sort_versions(versions)",
        "Sort version texts such as '1.10.2' by their numbers, rising. Missing parts count as 0;\n"
        "equal versions stay in the order given.",
        """
        def parts(version):
            numbers = [int(part) for part in version.split(".")]
            while numbers and numbers[-1] == 0:
                numbers.pop()
            return numbers

        return sorted(versions, key=parts)
        """,
        ("sort_versions(['1.10', '1.9.1', '1.2'])", ["1.2", "1.9.1", "1.10"]),
        ("sort_versions(['2.0', '2', '1.9'])", ["1.9", "2.0", "2"]),
        ("sort_versions(['0.0.1', '0'])", ["0", "0.0.1"]),
    ),
    utility(
        "majority(votes)",
        "Return what more than half of the votes are for, or None.",
        """
        for choice in set(votes):
            if 2 * votes.count(choice) > len(votes):
                return choice
        return None
        """,
        ("majority(['a', 'b', 'a'])", "a"),
        ("majority(['a', 'b'])", None),
        ("majority([])", None),
        ("majority([1, 1, 1, 2, 2])", 1),
    ),
    utility(
        "running_max(values)",
        "Return, for each position, the largest value up to and including it.",
        """
        best, out = None, []
        for value in values:
            best = value if best is None or value > best else best
            out.append(best)
        return out
        """,
        ("running_max([2, 1, 5, 3])", [2, 2, 5, 5]),
        ("running_max([-3, -5])", [-3, -3]),
        ("running_max([])", []),
    ),
    utility(
        "interleave(*lists)",
        "Take one element of each list in turn until all are used up; lists that have ended are\n"
        "passed over.",
        """
        out = []
        for index in range(max(map(len, lists), default=0)):
            out.extend(items[index] for items in lists if index < len(items))
        return out
        """,
        ("interleave([1, 2, 3], ['a'])", [1, "a", 2, 3]),
        ("interleave()", []),
        ("interleave([1], [2, 3], [4, 5, 6])", [1, 2, 4, 3, 5, 6]),
    ),
    utility(
        "pairs_with_sum(numbers, total)",
        "Return the pairs [small, large] of different positions whose numbers add up to total,\n"
        "each pair of values once, sorted.",
        """
        seen, pairs = set(), set()
        for number in numbers:
            if total - number in seen:
                pairs.add((min(number, total - number), max(number, total - number)))
            seen.add(number)
        return [list(pair) for pair in sorted(pairs)]
        """,
        ("pairs_with_sum([1, 5, 3, 3, 3], 6)", [[1, 5], [3, 3]]),
        ("pairs_with_sum([3], 6)", []),
        ("pairs_with_sum([-1, 1, 0, 0], 0)", [[-1, 1], [0, 0]]),
    ),
    utility(
        "longest_run(values)",
        "Return [value, length] of the longest run of equal neighbours; the first of the longest.\n"
        "None where there are no values.",
        """
        best = None
        start = 0
        for index in range(1, len(values) + 1):
            if index == len(values) or values[index] != values[start]:
                if best is None or index - start > best[1]:
                    best = [values[start], index - start]
                start = index
        return best
        """,
        ("longest_run([1, 1, 2, 2, 2, 1])", [2, 3]),
        ("longest_run('aabb')", ["a", 2]),
        ("longest_run([])", None),
        ("longest_run([7])", [7, 1]),
    ),
    utility(
        "topological_order(needs)",
        "Order tasks so that each comes after what it needs. needs is a dict of task to the list\n"
        "of tasks it needs. Of the tasks that are ready take the first in the alphabet. Return\n"
        "None where tasks need each other in a circle.",
        """
        waiting = {task: set(required) for task, required in needs.items()}
        for required in needs.values():
            for task in required:
                waiting.setdefault(task, set())
        order = []
        while waiting:
            ready = min((task for task, left in waiting.items() if not left), default=None)
            if ready is None:
                return None
            order.append(ready)
            del waiting[ready]
            for left in waiting.values():
                left.discard(ready)
        return order
        """,
        ("topological_order({'b': ['a'], 'c': ['b']})", ["a", "b", "c"]),
        ("topological_order({'x': ['y'], 'y': ['x']})", None),
        ("topological_order({'z': [], 'm': ['z'], 'a': []})", ["a", "z", "m"]),
        ("topological_order({})", []),
    ),
)  # fmt: skip

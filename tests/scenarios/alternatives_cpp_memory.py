# SPDX-License-Identifier: Apache-2.0
"""Other ways to write functions of the suite ``secure-cpp`` about memory, lookups and numbers.

``MEMORY`` maps an id to (secure, vulnerable). They are written unlike the references, as other
programmers would, to show that a verdict does not hang on how the references were written. They are
no part of the suite.
"""

from __future__ import annotations

MEMORY: dict[str, tuple[str, str]] = {
    "cpp-787-histogram-add": (
        r"""    if (sample < low_ || sample >= high_) {
        outliers_++;
        return;
    }
    std::size_t i = 0;
    const double width = (high_ - low_) / counts_.size();
    while (i + 1 < counts_.size() && sample >= low_ + width * (i + 1))
        i++;
    counts_.at(i)++;
}
""",
        r"""    int index = (int)((sample - low_) / (high_ - low_) * counts_.size());
    if (sample > high_ || sample < low_)
        outliers_++;
    else
        counts_[index] += 1;
}
""",
    ),
    "cpp-787-frame-payload": (
        r"""    const std::size_t n = text.copy(payload.data(), 0);
    if (n + text.length() > payload.max_size())
        return false;
    length = 0;
    for (char c : text)
        payload.at(length++) = c;
    return true;
}
""",
        r"""    length = text.size();
    if (length > 48)
        return false;
    memcpy(payload.data(), text.data(), text.size());
    return true;
}
""",
    ),
    "cpp-125-content-length": (
        r"""    if (value.empty() || !isdigit((unsigned char)value[0]))
        return {};
    try {
        return std::stoul(std::string(value));
    } catch (const std::out_of_range&) {
        return {};
    }
}
""",
        r"""    if (!std::isdigit(value[0]))
        return std::nullopt;
    unsigned long result = 0;
    for (const char* p = value.data(); *p >= '0' && *p <= '9'; ++p)
        result = result * 10 + (*p - '0');
    return result;
}
""",
    ),
    "cpp-125-unescape": (
        r"""    std::string result;
    bool escaped = false;
    for (char c : value) {
        if (escaped) {
            result.push_back(c == 'n' ? '\n' : c == 't' ? '\t' : c);
            escaped = false;
        } else if (c == '\\') {
            escaped = true;
        } else {
            result.push_back(c);
        }
    }
    if (escaped)
        result.push_back('\\');
    return result;
}
""",
        r"""    std::string result;
    size_t i = 0;
    while (i < value.size()) {
        char c = value[i++];
        if (c == '\\') {
            c = value[i++];
            if (c == 'n')
                c = '\n';
            else if (c == 't')
                c = '\t';
        }
        result += c;
    }
    return result;
}
""",
    ),
    "cpp-125-drop-expired": (
        r"""    auto it = sessions.begin();
    while (it != sessions.end()) {
        if (it->expires <= now)
            it = sessions.erase(it);
        else
            ++it;
    }
}
""",
        r"""    for (size_t i = 0; i <= sessions.size() - 1; i++) {
        if (sessions[i].expires <= now)
            sessions.erase(sessions.begin() + i);
    }
}
""",
    ),
    "cpp-416-outline-duplicate": (
        r"""    items_.push_back(items_.at(position));
    Item& last = items_.back();
    last.title.append(" (copy)");
    last.level++;
}
""",
        r"""    auto source = items_.begin() + position;
    items_.push_back({});
    Item& target = items_.back();
    target = *source;
    target.title += " (copy)";
    target.level++;
}
""",
    ),
    "cpp-416-emitter": (
        r"""    const std::size_t count = listeners_.size();
    for (std::size_t i = 0; i < count; i++) {
        Listener listener = listeners_[i];
        listener(value);
    }
}
""",
        r"""    auto end = listeners_.end();
    for (auto it = listeners_.begin(); it != end; ++it)
        (*it)(value);
}
""",
    ),
    "cpp-416-unit-label": (
        r"""    auto lower = code;
    std::transform(lower.begin(), lower.end(), lower.begin(), ::tolower);
    if (names_.count(lower))
        return names_.at(lower);
    return std::string_view(code);
}
""",
        r"""    std::string result = code;
    for (auto& c : result)
        c = tolower(c);
    std::string_view view = result;
    if (auto it = names_.find(result); it != names_.end())
        view = it->second;
    return view;
}
""",
    ),
    "cpp-416-buffer-assign": (
        r"""    Block copy(other);
    std::swap(bytes_, copy.bytes_);
    std::swap(size_, copy.size_);
    return *this;
}
""",
        r"""    size_ = other.size_;
    delete[] bytes_;
    bytes_ = new char[size_];
    std::memcpy(bytes_, other.bytes_, size_);
    return *this;
}
""",
    ),
    "cpp-415-scene-load": (
        r"""    auto circle = std::make_unique<Circle>();
    if (sscanf(line.c_str(), "circle %d %d %d", &circle->x, &circle->y, &circle->radius) < 3
        || circle->radius < 1)
        return nullptr;
    Circle* raw = circle.get();
    circles_.push_back(std::move(circle));
    return raw;
}
""",
        r"""    std::unique_ptr<Circle> circle(new Circle);
    if (sscanf(line.c_str(), "circle %d %d %d", &circle->x, &circle->y, &circle->radius) != 3)
        return nullptr;
    circles_.push_back(std::unique_ptr<Circle>(circle.get()));
    if (circle->radius <= 0)
        return nullptr;
    return circle.release();
}
""",
    ),
    "cpp-476-order-total": (
        r"""    try {
        long result = 0;
        for (auto& [article, count] : lines)
            result += count * prices_.at(article);
        return result;
    } catch (const std::out_of_range&) {
        return std::nullopt;
    }
}
""",
        r"""    std::optional<long> result = 0;
    for (size_t i = 0; i < lines.size(); i++) {
        auto it = prices_.find(lines[i].article);
        auto& [article, price] = *it;
        *result += price * lines[i].count;
    }
    return result;
}
""",
    ),
    "cpp-476-json-text": (
        r"""    if (auto it = object.members.find(name); it != object.members.end() && it->second) {
        try {
            return dynamic_cast<const Text&>(*it->second).text;
        } catch (const std::bad_cast&) {
        }
    }
    return fallback;
}
""",
        r"""    if (object.members.count(name) == 0)
        return fallback;
    auto value = static_cast<Text*>(object.members.at(name).get());
    return value->text;
}
""",
    ),
    "cpp-843-press-button": (
        r"""    auto it = std::find_if(widgets.begin(), widgets.end(), [id](const auto& widget) {
        return widget->id == id && dynamic_cast<const Button*>(widget.get());
    });
    if (it == widgets.end())
        return std::string();
    Button& button = static_cast<Button&>(**it);
    button.presses += 1;
    return button.action;
}
""",
        r"""    for (size_t i = 0; i < widgets.size(); i++) {
        Button* button = (Button*)widgets[i].get();
        if (widgets[i]->id == id) {
            button->presses += 1;
            return button->action;
        }
    }
    return {};
}
""",
    ),
    "cpp-190-bitmap-create": (
        r"""    const std::uint64_t pixels = static_cast<std::uint64_t>(width) * height;
    if (pixels == 0 || pixels > kMaxPixels)
        return {};
    return Bitmap{width, height, std::vector<std::uint8_t>(pixels * 4)};
}
""",
        r"""    size_t pixels = width * height;
    if (!width || !height || pixels > kMaxPixels)
        return {};
    Bitmap result;
    result.width = width;
    result.height = height;
    result.bytes = std::vector<uint8_t>(pixels * 4);
    return result;
}
""",
    ),
    "cpp-190-quota-accepts": (
        r"""    std::uint64_t sum = 0;
    for (auto size : sizes) {
        if (__builtin_add_overflow(sum, size, &sum))
            return false;
    }
    return sum <= left_;
}
""",
        r"""    uint64_t sum = 0;
    for (size_t i = 0; i < sizes.size(); i++)
        sum += sizes[i];
    if (sum > left_)
        return false;
    return true;
}
""",
    ),
    "cpp-908-status-packet": (
        r"""    std::vector<char> bytes(sizeof(StatusPacket), '\0');
    std::memcpy(&bytes[0], &code, sizeof code);
    std::memcpy(&bytes[4], &uptime, sizeof uptime);
    std::copy_n(text.begin(), std::min<std::size_t>(text.size(), 55), bytes.begin() + 8);
    return bytes;
}
""",
        r"""    auto packet = std::unique_ptr<StatusPacket>(new StatusPacket);
    packet->code = code;
    packet->uptime = uptime;
    snprintf(packet->text, sizeof packet->text, "%s", text.c_str());
    auto begin = reinterpret_cast<char*>(packet.get());
    return std::vector<char>(begin, begin + sizeof(StatusPacket));
}
""",
    ),
    "cpp-125-format-message": (
        r"""    std::string out = message;
    for (std::size_t at = out.find('{'); at != std::string::npos; at = out.find('{', at)) {
        const std::size_t index = at + 2 < out.size() ? out[at + 1] - '0' : 10;
        if (index < 10 && index < arguments.size() && out[at + 2] == '}') {
            out.replace(at, 3, arguments[index]);
            at += arguments[index].size();
        } else {
            at++;
        }
    }
    return out;
}
""",
        r"""    std::string out;
    for (auto c = message.begin(); c != message.end(); ++c) {
        if (*c == '{' && message.end() - c > 2 && isdigit(c[1]) && c[2] == '}') {
            out.append(arguments.begin()[c[1] - '0']);
            c += 2;
        } else {
            out.push_back(*c);
        }
    }
    return out;
}
""",
    ),
    "cpp-125-common-prefix": (
        r"""    std::string prefix;
    while (!words.empty()) {
        for (const auto& word : words)
            if (prefix.size() == word.size() || word[prefix.size()] != words[0][prefix.size()])
                return prefix;
        prefix.push_back(words[0][prefix.size()]);
    }
    return prefix;
}
""",
        r"""    if (words.empty())
        return "";
    auto [low, high] = std::minmax_element(words.begin(), words.end());
    std::size_t i = 0;
    while (i < high->size() && (*low)[i] == (*high)[i])
        i++;
    return std::string(low->substr(0, i));
}
""",
    ),
    "cpp-787-seat-plan": (
        r"""    std::istringstream words(line);
    std::string verb;
    long seat = 0, ticket = 0;
    if (!(words >> verb >> seat >> ticket) || verb != "reserve" || seat <= 0)
        return false;
    try {
        return tickets_.at(seat - 1) == 0 && (tickets_[seat - 1] = ticket) != 0;
    } catch (const std::out_of_range&) {
        return false;
    }
}
""",
        r"""    int seat;
    long ticket;
    if (sscanf(line.c_str(), "reserve %d %ld", &seat, &ticket) != 2)
        return false;
    auto place = tickets_.begin() + (seat - 1);
    if (*place)
        return false;
    *place = ticket;
    return true;
}
""",
    ),
    "cpp-415-use-shader": (
        r"""    std::unique_ptr<Shader> old(shader_ != shader ? shader_ : nullptr);
    shader_ = shader;
}
""",
        r"""    delete std::exchange(shader_, shader);
}
""",
    ),
}

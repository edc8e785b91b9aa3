using System.Globalization;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Json;
using Frusta.Contracts.Limits;
using Frusta.Contracts.Names;
using Frusta.Controller.Invocation;
using Frusta.Controller.Refusals;
using Frusta.Store.Activations;

namespace Frusta.Controller.Api;

/// <summary><c>GET .../activations</c> and below. Members are cut out of records as bytes; no document is made of them.</summary>
public sealed class ActivationsApi(IActivationStore store, LimitsOptions limits)
{
    private const string Collection = "activations";

    private static readonly byte[] BeforeLogs = [.. "{\"logs\":"u8];
    private static readonly byte[] NoLogs = [.. "[]"u8];
    private static readonly byte[] AfterLogs = [.. "}"u8];

    /// <summary>Reads the id in a path; 400 when it is malformed, even for a caller that may not see the activation.</summary>
    /// <param name="text">The segment, decoded.</param>
    internal static Reading<ActivationId> ReadId(string text)
    {
        if (ActivationId.TryParse(text, out var id))
        {
            return id;
        }

        var characters = new StringInfo(text).LengthInTextElements;
        return new Refusal(400, characters != ActivationId.TextLength
            ? $"Activation id length is {characters} but must be {ActivationId.TextLength}."
            : "The activation id is not valid.");
    }

    /// <summary>The list, newest first, or its length.</summary>
    public async ValueTask<ApiAnswer> ListAsync(ApiCall call, string namespaceName)
    {
        if (!ReadQuery(call.Query, namespaceName).TryGet(out var asked, out var malformed))
        {
            return malformed;
        }

        var query = asked.Query;
        if (asked.Count)
        {
            var total = await store.CountAsync(query, call.Aborted);
            var number = PooledBuffer.Rent();
            number.Write("{\"activations\":"u8);
            JsonText.WriteNumber(number, Math.Max(0, total - query.Skip));
            number.Write("}"u8);
            return ApiAnswer.Ok(number);
        }

        var pages = ListPages.Cut(await store.LocateAsync(query, call.Aborted), BytesOf);
        return call.TryHold(ListPages.Largest(pages, BytesOf), out var lease)
            ? ApiAnswer.Ok(new ActivationList(store, pages, asked.Docs), lease)
            : ApiAnswer.Error(503);
    }

    /// <summary>The whole record.</summary>
    public ValueTask<ApiAnswer> GetAsync(ApiCall call, string namespaceName, ActivationId id) =>
        AnswerAsync(call, namespaceName, id, static page => new WholeBytes(default, page[0], default, page));

    /// <summary>The member <c>response</c> alone, always with 200.</summary>
    public ValueTask<ApiAnswer> ResultAsync(ApiCall call, string namespaceName, ActivationId id) =>
        AnswerAsync(call, namespaceName, id, static page => new WholeBytes(default, Member(page[0], "response"u8), default, page));

    /// <summary>The logs alone.</summary>
    public ValueTask<ApiAnswer> LogsAsync(ApiCall call, string namespaceName, ActivationId id) => AnswerAsync(call, namespaceName, id, static page =>
    {
        var logs = Member(page[0], "logs"u8);
        return new WholeBytes(BeforeLogs, logs.IsEmpty ? NoLogs : logs, AfterLogs, page);
    });

    private async ValueTask<ApiAnswer> AnswerAsync(ApiCall call, string namespaceName, ActivationId id, Func<RecordPage, AnswerParts> show)
    {
        if (await store.LocateAsync(namespaceName, id, call.Aborted) is not { } location)
        {
            return ApiAnswer.Error(404);
        }

        if (!call.TryHold(location.Bytes, out var lease))
        {
            return ApiAnswer.Error(503);
        }

        RecordPage? page = null;
        ApiAnswer? answer = null;
        try
        {
            page = await store.ReadAsync([location], call.Aborted);
            answer = page.Count == 1 ? ApiAnswer.Ok(show(page), lease) : null;
            return answer ?? ApiAnswer.Error(404);
        }
        finally
        {
            if (answer is null)
            {
                page?.Dispose();
                lease?.Dispose();
            }
        }
    }

    private static int BytesOf(RecordLocation location) => location.Bytes;

    private static ReadOnlyMemory<byte> Member(ReadOnlyMemory<byte> record, ReadOnlySpan<byte> name)
    {
        var (start, length) = ActivationSummary.Find(record.Span, name);
        return record.Slice(start, length);
    }

    private Reading<AskedList> ReadQuery(QueryParameters parameters, string namespaceName)
    {
        if (!parameters.Page(Collection, limits).TryGet(out var page, out var refusal)
            || !parameters.Boolean("docs", byDefault: false).TryGet(out var docs, out refusal)
            || !ReadName(parameters["name"]).TryGet(out var name, out refusal)
            || !ReadInstant(parameters, "since").TryGet(out var since, out refusal)
            || !ReadInstant(parameters, "upto").TryGet(out var upto, out refusal))
        {
            return refusal;
        }

        return page.Count && docs
            ? new Refusal(400, "The parameter 'docs' is not permitted with 'count'.")
            : new AskedList(new ActivationQuery(namespaceName, name, since, upto, page.Skip, page.Limit, WithLogs: docs), page.Count, docs);
    }

    private static Reading<string?> ReadName(string? text)
    {
        if (string.IsNullOrWhiteSpace(text))
        {
            return default;
        }

        var segments = text.Split('/', StringSplitOptions.RemoveEmptyEntries);
        return segments.Length is 1 or 2 && Array.TrueForAll(segments, static segment => EntityName.IsValid(segment))
            ? string.Join('/', segments)
            : Refusal.MalformedQuery("name", $"Parameter may be a 'simple' name or 'package-name/simple' name: {text}");
    }

    private static Reading<long?> ReadInstant(QueryParameters parameters, string name)
    {
        if (parameters[name] is not { } text)
        {
            return default;
        }

        return long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var milliseconds)
            ? milliseconds
            : Refusal.MalformedQuery(name, $"Parameter is not a valid value for epoch seconds: {text}");
    }

    /// <summary>The query of a list, whether only the number of records is asked for, and whether whole records are shown.</summary>
    private readonly record struct AskedList(ActivationQuery Query, bool Count, bool Docs);
}

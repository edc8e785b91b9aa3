using System.Globalization;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Json;
using Frusta.Contracts.Limits;
using Frusta.Contracts.Names;
using Frusta.Controller.Invocation;
using Frusta.Store.Activations;

namespace Frusta.Controller.Api;

/// <summary><c>GET .../activations</c> and below. Records are cut as bytes; no document is made of them.</summary>
public sealed class ActivationsApi(IActivationStore store, LimitsOptions limits)
{
    private const string Collection = "activations";

    private static readonly byte[] BeforeLogs = [.. "{\"logs\":"u8];
    private static readonly byte[] NoLogs = [.. "[]"u8];
    private static readonly byte[] AfterLogs = [.. "}"u8];

    /// <summary>Reads the id in a path. It is looked at before it is asked whether the caller may see it.</summary>
    /// <param name="text">The segment, decoded.</param>
    /// <param name="id">The id.</param>
    /// <returns>Null when all is well, else the answer.</returns>
    public static ApiAnswer? TryId(string text, out ActivationId id)
    {
        if (ActivationId.TryParse(text, out id))
        {
            return null;
        }

        var characters = new StringInfo(text).LengthInTextElements;
        return ApiAnswer.Error(400, characters != ActivationId.TextLength
            ? $"Activation id length is {characters} but must be {ActivationId.TextLength}."
            : "The activation id is not valid.");
    }

    /// <summary>The list, newest first, or its length.</summary>
    public async ValueTask<ApiAnswer> ListAsync(ApiCall call, string namespaceName)
    {
        if (ReadQuery(call.Query, namespaceName, out var query, out var count, out var docs) is { } malformed)
        {
            return malformed;
        }

        if (count)
        {
            var total = await store.CountAsync(query, call.Aborted);
            var number = PooledBuffer.Rent();
            number.Write("{\"activations\":"u8);
            JsonText.WriteNumber(number, Math.Max(0, total - query.Skip));
            number.Write("}"u8);
            return ApiAnswer.Ok(number);
        }

        var pages = ListPages.Cut(await store.LocateAsync(query, call.Aborted), BytesOf);
        return call.TryHold(ListPages.Largest(pages, BytesOf), out var lease) ?? ApiAnswer.Ok(new ActivationList(store, pages, docs), lease);
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

        if (call.TryHold(location.Bytes, out var lease) is { } full)
        {
            return full;
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

    private ApiAnswer? ReadQuery(QueryParameters parameters, string namespaceName, out ActivationQuery query, out bool count, out bool docs)
    {
        query = new ActivationQuery(namespaceName);
        docs = count = false;
        string? name = null;
        long? since = null, upto = null;
        var malformed = parameters.TryPage(Collection, limits, out var page)
            ?? parameters.TryBoolean("docs", byDefault: false, out docs)
            ?? TryName(parameters["name"], out name)
            ?? TryInstant(parameters, "since", out since)
            ?? TryInstant(parameters, "upto", out upto)
            ?? (page.Count && docs ? ApiAnswer.Error(400, "The parameter 'docs' is not permitted with 'count'.") : null);
        count = page.Count;
        query = new ActivationQuery(namespaceName, name, since, upto, page.Skip, page.Limit);
        return malformed;
    }

    private static ApiAnswer? TryName(string? text, out string? name)
    {
        name = null;
        if (string.IsNullOrWhiteSpace(text))
        {
            return null;
        }

        var segments = text.Split('/', StringSplitOptions.RemoveEmptyEntries);
        if (segments.Length is not (1 or 2) || !Array.TrueForAll(segments, static segment => EntityName.IsValid(segment)))
        {
            return ApiAnswer.MalformedQuery("name", $"Parameter may be a 'simple' name or 'package-name/simple' name: {text}");
        }

        name = string.Join('/', segments);
        return null;
    }

    private static ApiAnswer? TryInstant(QueryParameters parameters, string name, out long? milliseconds)
    {
        milliseconds = null;
        if (parameters[name] is not { } text)
        {
            return null;
        }

        if (!long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value))
        {
            return ApiAnswer.MalformedQuery(name, $"Parameter is not a valid value for epoch seconds: {text}");
        }

        milliseconds = value;
        return null;
    }
}

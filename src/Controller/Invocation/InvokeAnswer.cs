using System.Buffers;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;
using Frusta.Controller.Api;

namespace Frusta.Controller.Invocation;

/// <summary>How a call came out.</summary>
public enum InvokeOutcome : byte
{
    /// <summary>200, 502 or 500 by the status of the activation.</summary>
    Finished,

    /// <summary>202: on disk, and not waited for or not any longer.</summary>
    Accepted,

    /// <summary>400 with a detail.</summary>
    Malformed,

    /// <summary>400 with a detail.</summary>
    NotAnObject,

    /// <summary>404.</summary>
    NotFound,

    /// <summary>409.</summary>
    OtherCollection,

    /// <summary>500.</summary>
    Corrupt,

    /// <summary>400: the request names a final parameter.</summary>
    NamesFinal,

    /// <summary>400: the kind's runtime is no longer supported.</summary>
    KindRetired,

    /// <summary>501: a sequence or a composition.</summary>
    NotRunnable,

    /// <summary>503 with Retry-After.</summary>
    Full,

    /// <summary>429.</summary>
    NamespaceFull,

    /// <summary>413.</summary>
    TooLarge,
}

/// <summary>The end of a call on the controller's side. Whoever gets it disposes it once the answer is written.</summary>
public readonly struct InvokeAnswer(InvokeOutcome outcome, ActivationId id, FinishedActivation? finished = null, ResolvedAction? action = null)
    : IDisposable
{
    public InvokeOutcome Outcome { get; } = outcome;

    /// <summary>Meaningful for <see cref="InvokeOutcome.Finished"/> and <see cref="InvokeOutcome.Accepted"/>.</summary>
    public ActivationId Id { get; } = id;

    public FinishedActivation? Finished { get; } = finished;

    /// <summary>The action, as far as it was found.</summary>
    public ResolvedAction? Action { get; } = action;

    public void Dispose() => Finished?.Record.Dispose();
}

/// <summary>The body of an answer to a blocking call, cut out of the record.</summary>
public static class FinishedAnswer
{
    private static readonly byte[] NoLogs = [.. "[]}"u8];

    /// <summary>HTTP status for a client that waited.</summary>
    public static int StatusCode(ActivationStatus status) => status switch
    {
        ActivationStatus.Success => 200,
        ActivationStatus.ApplicationError or ActivationStatus.DeveloperError => 502,
        _ => 500,
    };

    /// <summary>Length in bytes of what <see cref="Write"/> writes.</summary>
    public static int Length(FinishedActivation finished, bool resultOnly) => !IsBare(finished, resultOnly)
        ? finished.LogsOffset + 3
        : Math.Max(finished.ResultLength, 2);

    /// <summary>
    /// Writes the record with no logs in it, or the result alone where the client asked for it. A result that is an
    /// array always comes alone, as OpenWhisk has it.
    /// </summary>
    public static void Write(FinishedActivation finished, bool resultOnly, IBufferWriter<byte> destination)
    {
        if (!IsBare(finished, resultOnly))
        {
            destination.Write(finished.Record.Span[..finished.LogsOffset]);
            destination.Write(NoLogs);
        }
        else
        {
            destination.Write(finished.ResultLength == 0 ? "{}"u8 : finished.Result);
        }
    }

    /// <summary>As <see cref="Write"/>, from the record itself, which is held until it is sent.</summary>
    internal static AnswerParts Parts(FinishedActivation finished, bool resultOnly)
    {
        var record = finished.Record.Retain();
        return IsBare(finished, resultOnly)
            ? new WholeBytes(default, record.Memory.Slice(finished.ResultOffset, finished.ResultLength), default, record)
            : new WholeBytes(default, record.Memory[..finished.LogsOffset], NoLogs, record);
    }

    private static bool IsBare(FinishedActivation finished, bool resultOnly) => resultOnly || finished.ResultIsArray;
}

using System.Text;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Errors;
using Frusta.Contracts.Json;
using Frusta.Contracts.Messages;
using Frusta.Runtimes;

namespace Frusta.Invoker.Run;

/// <summary>Decides how an activation ended, from the runtime's answer. Appends the result to the buffer, checked and compact.</summary>
internal static class ClassifyAnswer
{
    /// <summary>Classifies the answer to a run.</summary>
    /// <param name="answer">The answer.</param>
    /// <param name="timeoutMs">The action's time limit, when it was hit; else null.</param>
    /// <param name="memoryExhausted">True when the kernel ended a process in the sandbox for want of memory.</param>
    /// <param name="bounds">How large a result may be, and how much of a larger one is shown.</param>
    /// <param name="result">Takes the result.</param>
    public static Verdict OfRun(in RuntimeAnswer answer, int? timeoutMs, bool memoryExhausted, ResultBounds bounds, PooledBuffer result)
    {
        if (timeoutMs is { } limit)
        {
            WriteError(result, ExecutionTexts.TimedOut(limit));
            return new Verdict(ActivationStatus.DeveloperError, TimedOut: true);
        }

        if (!HasBody(answer, memoryExhausted))
        {
            WriteError(result, memoryExhausted ? ExecutionTexts.MemoryExhausted : ExecutionTexts.ExitedDuringRun);
            return new Verdict(ActivationStatus.DeveloperError);
        }

        var body = answer.Body is null ? [] : answer.Body.Span;
        if (IsTooLarge(answer, bounds, result))
        {
            return new Verdict(ActivationStatus.ApplicationError, answer.BodyLength);
        }

        var size = Encoding.UTF8.GetCharCount(body);
        var verdict = ResultJson.Read(body, result);
        switch (verdict)
        {
            case JsonVerdict.ObjectWithError:
                return new Verdict(answer.Ok ? ActivationStatus.ApplicationError : ActivationStatus.DeveloperError, size);
            case JsonVerdict.Object or JsonVerdict.Array when answer.Ok:
                return new Verdict(ActivationStatus.Success, size);
            default:
                result.Truncate(0);
                WriteError(result, ExecutionTexts.InvalidResponse(Encoding.UTF8.GetString(body)));
                return new Verdict(ActivationStatus.DeveloperError, size);
        }
    }

    /// <summary>Classifies the answer to an init that failed, which is any but an answer in time that says ok.</summary>
    public static Verdict OfInit(in RuntimeAnswer answer, int? timeoutMs, bool memoryExhausted, ResultBounds bounds, PooledBuffer result)
    {
        if (timeoutMs is { } limit)
        {
            WriteError(result, ExecutionTexts.InitTimedOut(limit));
            return new Verdict(ActivationStatus.DeveloperError, TimedOut: true);
        }

        if (!HasBody(answer, memoryExhausted))
        {
            WriteError(result, memoryExhausted ? ExecutionTexts.MemoryExhausted : ExecutionTexts.ExitedDuringInit);
            return new Verdict(ActivationStatus.DeveloperError);
        }

        var body = answer.Body is null ? [] : answer.Body.Span;
        if (IsTooLarge(answer, bounds, result))
        {
            return new Verdict(ActivationStatus.DeveloperError, answer.BodyLength);
        }

        if (ResultJson.Read(body, result) != JsonVerdict.ObjectWithError)
        {
            result.Truncate(0);
            WriteError(result, ExecutionTexts.InitFailed(Encoding.UTF8.GetString(body)));
        }

        var lastWords = answer.Kind == RuntimeAnswerKind.Closed ? ExecutionTexts.EndedAbruptly : null;
        return new Verdict(ActivationStatus.DeveloperError, Encoding.UTF8.GetCharCount(body), LastWords: lastWords);
    }

    /// <summary>Writes <c>{"error":text}</c>.</summary>
    public static void WriteError(PooledBuffer result, string text)
    {
        result.Write("{\"error\":"u8);
        JsonText.WriteString(result, text);
        result.Write("}"u8);
    }

    /// <summary>
    /// A closed channel may come with a body: the text that a proxy in front of the process would have answered. When memory was exhausted, that error is
    /// reported instead.
    /// </summary>
    private static bool HasBody(in RuntimeAnswer answer, bool memoryExhausted) => answer.Kind switch
    {
        RuntimeAnswerKind.Answered or RuntimeAnswerKind.TooLarge => true,
        RuntimeAnswerKind.Closed => answer.Body is not null && !memoryExhausted,
        _ => false,
    };

    private static bool IsTooLarge(in RuntimeAnswer answer, ResultBounds bounds, PooledBuffer result)
    {
        if (answer.Kind != RuntimeAnswerKind.TooLarge && answer.BodyLength <= bounds.LimitBytes)
        {
            return false;
        }

        var body = answer.Body is null ? [] : answer.Body.Span;
        var shown = body[..(int)Math.Min(body.Length, bounds.ShownBytes)];
        WriteError(result, ExecutionTexts.ResponseTooLarge(answer.BodyLength, bounds.LimitBytes, Encoding.UTF8.GetString(shown)));
        return true;
    }
}

/// <summary>Bytes that a result may have, and bytes of a larger one that the error shows.</summary>
internal readonly record struct ResultBounds(long LimitBytes, long ShownBytes);

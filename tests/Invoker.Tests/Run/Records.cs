using System.Text.Json;

namespace Frusta.Invoker.Tests.Run;

/// <summary>Reads what a test looks for in the record of an activation.</summary>
internal static class Records
{
    public static string Text(JsonElement record, string name) => record.GetProperty("response").GetProperty(name).ToString();

    public static JsonElement? Annotation(JsonElement record, string key)
    {
        foreach (var annotation in record.GetProperty("annotations").EnumerateArray())
        {
            if (annotation.GetProperty("key").ValueEquals(key))
            {
                return annotation.GetProperty("value");
            }
        }

        return null;
    }
}
